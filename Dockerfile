# Processors only: docker build -t bridgenet . && docker run --rm -v "$PWD:/work" bridgenet demo
FROM python:3.12-slim

RUN useradd --create-home user \
    && pip install --no-cache-dir torch torchvision --index-url https://download.pytorch.org/whl/cpu
WORKDIR /src
COPY pyproject.toml README.md LICENSE CHANGELOG.md ./
COPY src ./src
RUN pip install --no-cache-dir '.[export,exr]' && rm -rf /src
USER user
WORKDIR /work
ENTRYPOINT ["bridgenet"]
CMD ["--help"]
