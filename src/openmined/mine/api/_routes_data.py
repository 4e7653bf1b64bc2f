"""Routes of the owner's data: datasets, uploads, previews, imports, permissions."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated
from urllib.parse import unquote

from fastapi import APIRouter, Header, Path, Request
from fastapi.concurrency import run_in_threadpool

from openmined.mine._datasets import Dataset, delete_dataset, list_datasets, load_dataset
from openmined.mine._errors import ImportRefused
from openmined.mine._exposure import explain_exposure
from openmined.mine._permissions import DatasetPermission
from openmined.mine._permit import change_permission
from openmined.mine._settings import permission_dict
from openmined.mine.api._context import Context, NotThere, Owner
from openmined.mine.api._models import (
    AdapterAnswer,
    DatasetAnswer,
    DatasetPart,
    Exposure,
    ImportBody,
    ImportOrder,
    ImportState,
    Preview,
    Upload,
)

router = APIRouter(prefix="/api/v1")
Name = Annotated[str, Path(pattern=r"^[a-z0-9][a-z0-9\-]{0,63}$", description="The dataset.")]


@router.get("/datasets", tags=["data"])
def read_datasets(owner: Owner) -> list[DatasetAnswer]:
    """List the datasets."""
    return [_answer(owner, dataset) for dataset in list_datasets(owner.folder)]


@router.get("/datasets/{name}", tags=["data"])
def read_dataset(name: Name, owner: Owner) -> DatasetAnswer:
    """Describe a dataset; its rows are never shown again."""
    return _answer(owner, load_dataset(owner.folder, name))


@router.delete("/datasets/{name}", tags=["data"], status_code=204)
def remove_dataset(name: Name, owner: Owner) -> None:
    """Delete a dataset: its bytes and every cache of them."""
    delete_dataset(owner.folder, name)


@router.put("/datasets/{name}/permission", tags=["permissions"])
def write_permission(name: Name, body: DatasetPermission, owner: Owner) -> DatasetAnswer:
    """Replace what campaigns may do with a dataset."""
    dataset = load_dataset(owner.folder, name)
    fresh = DatasetPermission().model_dump(mode="json")
    change_permission(owner.folder, name, {**fresh, **permission_dict(body)})
    return _answer(owner, dataset)


@router.post("/datasets/{name}/exposure", tags=["permissions"])
def explain(name: Name, body: DatasetPermission, owner: Owner) -> Exposure:
    """Say in plain words what a campaign could learn with a permission, before it is given."""
    dataset = load_dataset(owner.folder, name)
    lines = explain_exposure(body, dataset.dataset_schema, dataset.rows)
    return Exposure(exposure=tuple(lines))


@router.get("/adapters", tags=["data"])
def read_adapters(owner: Owner) -> list[AdapterAnswer]:
    """List the adapters that read exports."""
    from openmined.adapters import load_adapters

    del owner
    found = sorted(load_adapters().by_name.values(), key=lambda adapter: adapter.name)
    return [
        AdapterAnswer(name=a.name, title=a.title, schema_id=getattr(_schema(a), "id", None))
        for a in found
    ]


@router.post(
    "/uploads",
    tags=["data"],
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {
                "application/octet-stream": {"schema": {"type": "string", "format": "binary"}}
            },
        }
    },
)
async def upload(
    request: Request,
    owner: Owner,
    x_file_name: Annotated[str, Header(max_length=400, description="Percent-encoded name.")],
) -> Upload:
    """Send a file to be previewed and imported; it is held in memory, never on a disk."""
    pieces: AsyncIterator[bytes] = request.stream()
    number, name, size = await owner.uploads.take(unquote(x_file_name), pieces)
    return Upload(upload=number, name=name, bytes=size)


@router.delete("/uploads/{number}", tags=["data"], status_code=204)
def forget_upload(number: Annotated[str, Path(pattern=r"^[a-f0-9]{32}$")], owner: Owner) -> None:
    """Forget an upload."""
    owner.uploads.forget(number)


@router.post("/imports/preview", tags=["data"])
async def preview(body: ImportBody, owner: Owner) -> Preview:
    """Show the first rows of a source as an import would keep them."""
    return await run_in_threadpool(owner.imports.preview, body)


@router.post("/imports", tags=["data"], status_code=202)
def start_import(body: ImportOrder, owner: Owner) -> ImportState:
    """Begin an import; follow it under its id."""
    if (body.upload is None) == (body.path is None):
        raise ImportRefused("give either an upload or a path on the mine's machine")
    return owner.imports.start(body)


@router.get("/imports", tags=["data"])
def read_imports(owner: Owner) -> list[ImportState]:
    """List the imports since the mine was started, the newest first."""
    return owner.imports.states()


@router.get("/imports/{number}", tags=["data"])
def read_import(
    number: Annotated[str, Path(pattern=r"^[a-f0-9]{16}$")], owner: Owner
) -> ImportState:
    """Say how an import stands."""
    state = owner.imports.state(number)
    if state is None:
        raise NotThere(f"there is no import {number}")
    return state


def _answer(owner: Context, dataset: Dataset) -> DatasetAnswer:
    permission = owner.folder.settings().permission(dataset.name)
    with owner.ledger() as ledger:
        spent = ledger.epsilon_spent(dataset.name)
    return DatasetAnswer(
        name=dataset.name,
        rows=dataset.rows,
        table_schema=dataset.dataset_schema,
        imports=tuple(
            DatasetPart(rows=part.rows, bytes=part.bytes, imported=part.imported)
            for part in dataset.parts
        ),
        permission=permission,
        epsilon_spent=spent,
        exposure=tuple(explain_exposure(permission, dataset.dataset_schema, dataset.rows)),
    )


def _schema(adapter: object) -> object:
    return getattr(adapter, "schema", None)
