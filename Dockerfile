# The project in a container:
#   docker build --tag wingloss .
#   docker run --rm --volume $PWD/out:/wingloss/results wingloss
# Its steps are the Makefile's. The results come out in `out/`; for a GPU add `--gpus all`.
FROM debian:bookworm-slim
RUN apt-get update && \
    apt-get install --yes --no-install-recommends ca-certificates git make python3 python3-venv && \
    rm -rf /var/lib/apt/lists/*
WORKDIR /wingloss
COPY . .
RUN make setup
CMD ["make", "reproduce"]
