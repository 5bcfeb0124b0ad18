"""Lists a bucket or a folder of this machine page by page, as far down as asked for."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import Any, Protocol, TypeAlias

from fusion_core.errors import StorageError
from fusion_core.storage.answers import answer_of

PAGE = 4096
"""Entries of a local folder that are looked at together."""

_LISTED = ("ETag", "StorageClass", "RestoreStatus", "VersionId")

Call: TypeAlias = Callable[[Callable[[], Any]], Any]
"""Runs one request, repeating it where that may help."""


@dataclass(frozen=True)
class Page:
    """A part of a listing.

    Attributes:
        found: The whole names of objects, and what the store says of each.
        folders: The beginnings of names below which there is more, each with a slash behind; none
            where the listing goes all the way down.
        last: Whether nothing follows.
    """

    found: Sequence[tuple[str, Mapping[str, Any]]]
    folders: tuple[str, ...] = ()
    last: bool = True


class Pages(Protocol):
    """Lists what begins with some text, all the way down or only to the next slash."""

    def __call__(self, start: str, *, deep: bool) -> Iterator[Page]:
        """Yield pages; none where there is nothing."""


def bucket_pages(
    fs: Callable[[], Any],
    call: Call,
    limit: Mapping[str, float],
    start: str,
    *,
    deep: bool,
    versions: bool = False,
) -> Iterator[Page]:
    """List a bucket of S3, so that a fault costs a page and not the whole listing.

    Args:
        fs: Returns the s3fs file system, for each page anew.
        call: Runs one request.
        limit: Keyword arguments that bound a request's time.
        start: Bucket and the beginning of the keys.
        deep: Whether to go beyond the next slash.
        versions: Whether to tell the version id of each object, which takes another list.
    """
    bucket, prefix, _ = fs().split_path(start)
    method = "list_object_versions" if versions else "list_objects_v2"
    asked = {"Bucket": bucket, "Prefix": prefix or ""} | ({} if deep else {"Delimiter": "/"})
    more: dict[str, Any] = {"OptionalObjectAttributes": ["RestoreStatus"]}
    place: dict[str, Any] = {}

    def page() -> Any:
        return fs().call_s3(method, **asked, **more, **place, **limit)

    while True:
        try:
            answer = call(page)
        except StorageError as error:
            if not more or place or not _knows_less(error):
                raise
            more = {}
            continue
        yield _page(bucket, answer)
        if not answer.get("IsTruncated"):
            return
        if versions:
            place = {"KeyMarker": answer["NextKeyMarker"]}
            if answer.get("NextVersionIdMarker"):
                place["VersionIdMarker"] = answer["NextVersionIdMarker"]
        else:
            place = {"ContinuationToken": answer["NextContinuationToken"]}


def _page(bucket: str, answer: Mapping[str, Any]) -> Page:
    found = [
        (
            f"{bucket}/{entry['Key']}",
            {name: entry[name] for name in _LISTED if name in entry} | {"size": entry["Size"]},
        )
        for entry in (*answer.get("Contents", ()), *answer.get("Versions", ()))
        if entry.get("IsLatest", True)
    ]
    below = (one["Prefix"] for one in answer.get("CommonPrefixes", ()))
    folders = tuple(f"{bucket}/{one}" for one in below)
    return Page(found, folders, last=not answer.get("IsTruncated"))


def _knows_less(error: StorageError) -> bool:
    """Tell whether a server may have refused what it was asked for beside the list itself."""
    answer = answer_of(error)
    return answer is not None and answer.status in (400, 403, 501)


def folder_pages(fs: Any, call: Call, start: str, *, deep: bool) -> Iterator[Page]:
    """List files of this machine; links are listed as their targets.

    Args:
        fs: The local file system of fsspec.
        call: Runs one look at the disk.
        start: The beginning of the whole names.
        deep: Whether to go beyond the next slash.

    Raises:
        StorageError: A folder can't be read.
    """
    waiting = [start.rpartition("/")[0] or "/"]
    while waiting:
        for page in _folder(fs, call, waiting.pop()):
            found = [entry for entry in page.found if entry[0].startswith(start)]
            folders = tuple(folder for folder in page.folders if folder.startswith(start))
            if deep:
                waiting += [folder[:-1] for folder in folders]
                yield Page(found, last=not waiting)
            else:
                yield Page(found, folders, page.last)


def _folder(fs: Any, call: Call, folder: str) -> Iterator[Page]:
    """Yield what lies in one folder, some thousand entries at a time."""

    def begin() -> tuple[Iterator[os.DirEntry[str]], list[os.DirEntry[str]]]:
        entries: Iterator[os.DirEntry[str]]
        try:
            entries = os.scandir(folder)
        except (FileNotFoundError, NotADirectoryError):  # gone since its parent was read
            entries = iter(())
        return entries, list(islice(entries, PAGE))

    entries, some = call(begin)
    while some:
        folders = [entry for entry in some if entry.is_dir(follow_symlinks=False)]
        files = [entry for entry in some if not entry.is_dir(follow_symlinks=False)]
        found = call(partial(_look_at, fs, files))
        try:
            some = list(islice(entries, PAGE))
        except OSError as error:  # what was read of it can't be told from the rest
            raise StorageError(f"can't list {folder}: {error}. Check its disk") from error
        below = tuple(f"{fs._strip_protocol(entry.path)}/" for entry in folders)
        yield Page(found, below, last=not some)


def _look_at(fs: Any, files: list[os.DirEntry[str]]) -> list[tuple[str, dict[str, Any]]]:
    found = []
    for entry in files:
        with suppress(FileNotFoundError):  # gone since its folder was read
            info = fs.info(entry)
            if info.get("islink"):
                with suppress(OSError):  # a link to nothing fails where it is read
                    info = fs.info(info["name"])
            found.append((info["name"], info))
    return found
