"""Generates `libs/contracts/proto` from `proto/`: messages by protoc, their import paths moved under this package, and
typed stubs of the services, which protoc does not write.

    python -m libs.contracts.protogen            write
    python -m libs.contracts.protogen --check    fail if what is committed differs
"""

from __future__ import annotations

import re
import sys
import tempfile
from importlib import resources
from pathlib import Path

from google.protobuf.descriptor_pb2 import FileDescriptorProto, FileDescriptorSet, ServiceDescriptorProto

ROOT = Path(__file__).resolve().parents[2]
SOURCE = ROOT / "proto"
TARGET = ROOT / "libs" / "contracts" / "proto"
PACKAGE = "libs.contracts.proto"
_IMPORT = re.compile(r"^((?:from|import) )(deedbook[. ])", re.MULTILINE)


def generate() -> dict[Path, str]:
    """Every generated file, by its path below TARGET."""
    from grpc_tools import protoc  # type: ignore[import-untyped]  # of the development tools: not installed where services run

    protos = sorted(path.relative_to(SOURCE) for path in SOURCE.rglob("*.proto"))
    with tempfile.TemporaryDirectory() as folder:
        described = Path(folder) / "descriptors.bin"
        outputs = [f"--{kind}_out={folder}" for kind in ("python", "pyi", "grpc_python")]
        include = [f"-I{SOURCE}", f"-I{resources.files('grpc_tools') / '_proto'}"]
        names = [str(path) for path in protos]
        if protoc.main(["protoc", *include, *outputs, f"--descriptor_set_out={described}", *names]) != 0:
            raise SystemExit("protoc refused the files under proto/")
        files = {path.relative_to(folder): _moved(path.read_text()) for path in Path(folder).rglob("*.py*")}
        described_files = FileDescriptorSet.FromString(described.read_bytes()).file
    for file in described_files:
        if file.service:
            files[Path(file.name.replace(".proto", "_pb2_grpc.pyi"))] = _service_stub(file)
    kept = {path: text for path, text in files.items() if not _is_empty_grpc(path, files)}
    folders = {parent for path in kept for parent in path.parents}
    return kept | {folder / "__init__.py": "" for folder in folders}


def differing(files: dict[Path, str]) -> list[str]:
    """What is missing, changed or too much in the committed folder."""
    committed = {path.relative_to(TARGET): path.read_text() for path in TARGET.rglob("*.py*") if path.suffix != ".pyc"}
    return sorted(str(path) for path in files.keys() | committed.keys() if files.get(path) != committed.get(path))


def main(arguments: list[str]) -> int:
    """Command line; gives the exit code."""
    files = generate()
    changed = differing(files)
    if "--check" in arguments:
        for name in changed:
            sys.stderr.write(f"libs/contracts/proto/{name} is not what proto/ says\n")
        return 1 if changed else 0
    for path in map(Path, changed):
        if path in files:
            (TARGET / path).parent.mkdir(parents=True, exist_ok=True)
            (TARGET / path).write_text(files[path])
        else:
            (TARGET / path).unlink()
    sys.stdout.write(f"{len(changed)} of {len(files)} files written\n")
    return 0


def _moved(text: str) -> str:
    """protoc believes that its output is a top-level package, and leaves its types half said."""
    return _IMPORT.sub(rf"\1{PACKAGE}.\2", text).replace("_Mapping]", "_Mapping[str, object]]")


def _is_empty_grpc(path: Path, files: dict[Path, str]) -> bool:
    """protoc writes a service module for files without a service, too."""
    return path.name.endswith("_pb2_grpc.py") and path.with_suffix(".pyi") not in files


def _service_stub(file: FileDescriptorProto) -> str:
    """Types of a service module as grpc.aio uses it: a stub for callers, a servicer for servers."""
    package = f"{PACKAGE}.{file.package}"
    module = Path(file.name).stem + "_pb2"
    lines = [
        "from collections.abc import AsyncIterator",
        "",
        "import grpc.aio",
        "",
        f"from {package} import {module} as pb",
        "",
    ]
    for service in file.service:
        lines += _stub_class(service) + _servicer_class(service)
        add = f"def add_{service.name}Servicer_to_server(servicer: {service.name}Servicer, server: grpc.aio.Server)"
        lines += [f"{add} -> None: ...", ""]
    return "\n".join(lines)


def _stub_class(service: ServiceDescriptorProto) -> list[str]:
    lines = [f"class {service.name}Stub:", "    def __init__(self, channel: grpc.aio.Channel) -> None: ..."]
    for method in service.method:
        kind = "UnaryStreamMultiCallable" if method.server_streaming else "UnaryUnaryMultiCallable"
        lines.append(
            f"    {method.name}: grpc.aio.{kind}[pb.{_short(method.input_type)}, pb.{_short(method.output_type)}]"
        )
    return [*lines, ""]


def _servicer_class(service: ServiceDescriptorProto) -> list[str]:
    lines = [f"class {service.name}Servicer:"]
    for method in service.method:
        request, answer = f"pb.{_short(method.input_type)}", f"pb.{_short(method.output_type)}"
        context = f"context: grpc.aio.ServicerContext[{request}, {answer}]"
        start, result = ("def", f"AsyncIterator[{answer}]") if method.server_streaming else ("async def", answer)
        lines.append(f"    {start} {method.name}(self, request: {request}, {context}) -> {result}: ...")
    return [*lines, ""]


def _short(full_name: str) -> str:
    return full_name.rpartition(".")[2]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
