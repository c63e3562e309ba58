# The operator's image. Any base with Python 3.11 or newer as `python3`, its venv module, pip and
# libstdc++ (which RE2 needs) will do; all stages use the same one, so that the interpreter is where
# the virtual environment expects it.
ARG BASE=python:3.13-slim

FROM ${BASE} AS dependencies
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore
COPY requirements/operator.txt /build/requirements/
# Left out: pip itself, and the typed API classes of the Kubernetes client (54 MB), which are loaded
# by name only, and which a client that speaks in plain objects never names. Compiled here once: the
# root file system of the pod is read-only.
RUN python3 -m venv --without-pip /opt/firewatch \
 && python3 -m pip --python /opt/firewatch/bin/python3 install --no-compile \
      --require-hashes --only-binary :all: --requirement /build/requirements/operator.txt \
 && cd /opt/firewatch/lib/python3*/site-packages \
 && rm -r kubernetes/client/api kubernetes/aio/client/api \
 && /opt/firewatch/bin/python3 -m compileall -q -j 0 --invalidation-mode unchecked-hash .

FROM dependencies AS package
COPY requirements/build.txt /build/requirements/
RUN python3 -m venv --without-pip /opt/build \
 && python3 -m pip --python /opt/build/bin/python3 install \
      --require-hashes --only-binary :all: --requirement /build/requirements/build.txt
WORKDIR /build
COPY pyproject.toml README.md LICENSE ./
COPY operator operator
# Into a tree of its own that is laid over the dependencies: a new version changes one small layer.
RUN /opt/build/bin/python3 -m hatchling build --target wheel --directory /build/dist \
 && site="$(/opt/firewatch/bin/python3 -c 'import sysconfig; print(sysconfig.get_path("purelib"))')" \
 && python3 -m pip install --no-compile --no-deps --no-index --target "/package${site}" dist/*.whl \
 && rm -rf "/package${site}/bin" \
 && cd "/package${site}" \
 && /opt/firewatch/bin/python3 -m compileall -q --invalidation-mode unchecked-hash . \
 && PYTHONPATH=. /opt/firewatch/bin/python3 -c \
    'import firewatch.__main__, firewatch.journeys.__main__, firewatch.rum.__main__'

FROM ${BASE}
ARG VERSION=0.1.0
ARG REVISION=""
LABEL org.opencontainers.image.title="Firewatch operator" \
      org.opencontainers.image.description="Runs a monitoring runbook on Kubernetes" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
COPY --from=dependencies /opt/firewatch /opt/firewatch
COPY --from=package /package /
# The last three: glibc gives back at once what a long list of resources took for a moment, and its
# threads, of which Python lets one run at a time, have one heap, not two with half of each unused.
ENV PATH=/opt/firewatch/bin:/usr/local/bin:/usr/bin:/bin \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    MALLOC_ARENA_MAX=1 \
    MALLOC_MMAP_THRESHOLD_=131072 \
    MALLOC_TRIM_THRESHOLD_=131072
# The standard library comes without its compiled form in slim images, and the pod cannot write it: the
# operator would compile 200 modules at every start, and keep 5 MiB that this takes.
RUN PYTHONDONTWRITEBYTECODE= python -c 'import firewatch.__main__'
# A number, so that the kubelet can see that it is not root.
USER 65532:65532
ENTRYPOINT ["python", "-m", "firewatch"]
