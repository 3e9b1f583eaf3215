# The unit tests on a Python that this machine does not have: `make test-image`.
ARG PYTHON
FROM ${PYTHON}
WORKDIR /mq-pair
COPY requirements-dev.lock .
RUN python -m venv .venv && \
    .venv/bin/pip install --no-cache-dir --require-hashes --requirement requirements-dev.lock
COPY . .
ENTRYPOINT [".venv/bin/python", "-m", "pytest"]
