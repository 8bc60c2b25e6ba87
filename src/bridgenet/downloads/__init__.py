"""Getting files from elsewhere: resumable downloads, archives, pictures by address, published weights."""
