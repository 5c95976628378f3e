# SPDX-License-Identifier: MIT
#
# Where images are built (stage `builder`) and booted (stage `boot`): Debian's tools, the `builder` package and the specs.
# Made by builder/engine/docker/builder_image.py when one of its inputs changed; nothing but a Debian mirror is needed. BASE is
# debian:trixie-slim or, where no registry answers, the same thing made from the mirror (builder/engine/docker/base_image.py).
ARG BASE=debian:trixie-slim
FROM ${BASE} AS tools

# Also on the images in between, so that those of a failed build can be found and removed.
LABEL boardwright.image=builder

# qemu-user holds static programs since trixie; qemu-user-static there is an empty package that depends on it.
RUN apt-get update \
 && DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends \
      arch-test ca-certificates debian-archive-keyring dosfstools e2fsprogs fdisk gpg gpgv mmdebstrap mount \
      mtools pigz python3 python3-boto3 python3-docker python3-jsonschema python3-pydantic python3-pytest \
      python3-requests python3-rich python3-ruamel.yaml python3-tenacity python3-testinfra python3-tqdm \
      python3-typer qemu-user util-linux xz-utils zip zstd \
 && rm -rf /var/lib/apt/lists/* /var/cache/apt/*.bin

# The compiler comes and goes in one layer: a stage of its own would stay behind as an image without a name.
COPY builder/rootfs/redirect.c /usr/src/redirect.c
RUN apt-get update \
 && DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends gcc libc6-dev \
 && mkdir -p /usr/local/libexec/boardwright \
 && gcc -static -O2 -Wall -Wextra -o /usr/local/libexec/boardwright/redirect /usr/src/redirect.c \
 && apt-get purge --yes --auto-remove gcc libc6-dev \
 && rm -rf /var/lib/apt/lists/* /var/cache/apt/*.bin

ENV PYTHONPATH=/usr/lib/boardwright/python PYTHONUNBUFFERED=1
WORKDIR /build

FROM tools AS builder
COPY builder /usr/lib/boardwright/python/builder
COPY specs /usr/lib/boardwright/python/specs
RUN python3 -m compileall -q /usr/lib/boardwright/python

# Only for those who boot: QEMU and firmware. The code is copied after them, so that a change of it installs nothing. The
# firmware of 64-bit Arm with Secure Boot goes: 64 MiB a file, and not used.
FROM tools AS boot
RUN apt-get update \
 && DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends \
      openssh-client opensbi ovmf qemu-efi-aarch64 qemu-system-arm qemu-system-riscv qemu-system-x86 \
      socat \
 && rm /usr/share/AAVMF/AAVMF_CODE.secboot*.fd /usr/share/AAVMF/*.ms.fd /usr/share/AAVMF/*.snakeoil.fd \
 && rm -rf /var/lib/apt/lists/* /var/cache/apt/*.bin
COPY builder /usr/lib/boardwright/python/builder
COPY specs /usr/lib/boardwright/python/specs
RUN python3 -m compileall -q /usr/lib/boardwright/python
