"""Networks: tensors in, tensors out. They know no file, no data set and no device."""
