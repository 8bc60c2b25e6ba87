# Processors only: docker build -t bridgenet . && docker run --rm -v "$PWD:/work" bridgenet demo
FROM python:3.12-slim

# Versions are those that pyproject.toml asks for.
# hadolint ignore=DL3013
RUN useradd --create-home --uid 1000 user \
    && pip install --no-cache-dir torch torchvision --index-url https://download.pytorch.org/whl/cpu
WORKDIR /src
COPY pyproject.toml README.md LICENSE CHANGELOG.md ./
COPY src ./src
# hadolint ignore=DL3013
RUN pip install --no-cache-dir '.[export,exr]' && rm -rf /src
USER 1000
WORKDIR /work
ENTRYPOINT ["bridgenet"]
CMD ["--help"]
