# One image for every process; compose and the chart choose by the command.
FROM python:3.13-slim AS packages
ENV UV_PYTHON_DOWNLOADS=never UV_LINK_MODE=copy UV_COMPILE_BYTECODE=1
RUN pip install --no-cache-dir uv==0.13.9 && python -m venv /opt/deedbook
WORKDIR /src
COPY pyproject.toml requirements.lock ./
# What the processes need, without the tools of developers, at the versions and hashes of the one lock file.
RUN uv pip compile -q --universal --generate-hashes --no-header --python-version 3.11 -c requirements.lock \
        pyproject.toml -o run.lock \
    && grep -oE 'sha256:[0-9a-f]{64}' requirements.lock | sort -u > known \
    && ! grep -oE 'sha256:[0-9a-f]{64}' run.lock | grep -qvFf known \
    && VIRTUAL_ENV=/opt/deedbook uv pip sync --require-hashes run.lock

# The codec as machine code (libs/contracts/compiling.py); this stage alone has a compiler.
FROM python:3.13 AS codec
ENV UV_PYTHON_DOWNLOADS=never UV_LINK_MODE=copy
RUN pip install --no-cache-dir uv==0.13.9 && python -m venv /opt/build
WORKDIR /app
COPY pyproject.toml requirements.lock ./
RUN VIRTUAL_ENV=/opt/build uv pip sync --require-hashes requirements.lock
COPY libs /app/libs
RUN PYTHONPATH=/app /opt/build/bin/python -m libs.contracts.compiling /app

FROM python:3.13-slim
RUN useradd --uid 10001 --no-create-home --shell /usr/sbin/nologin deedbook \
    && install -d -o deedbook -g deedbook -m 700 /var/lib/deedbook /var/lib/deedbook-keys
COPY --from=packages /opt/deedbook /opt/deedbook
COPY --from=codec /app/libs /app/libs
COPY --from=codec /app/deedbook_codec_*.so /app/
COPY deedbook /app/deedbook
COPY services /app/services
ENV PATH=/opt/deedbook/bin:$PATH PYTHONPATH=/app PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
# Nobody writes here later, and a process that compiles all it imports takes 2 s more of a core to start.
RUN python -m compileall -q /app
WORKDIR /app
USER 10001
