"""Raw data that others publish: from a mirror, from the user's folder, or from the publishers.

What the user has put into ``data/incoming`` (or what a mirror folder holds), unpacked or as
published, is taken as it is. Only where there is nothing, and where it may be, the published files
are fetched, into ``data/downloads``, which no engine deletes.
"""

import os
import shutil
from collections import Counter
from pathlib import Path, PurePosixPath

from pipeline.acquire import resumable_download, sources
from pipeline.acquire.archives import CHUNK, is_archive, join, unpack
from pipeline.acquire.sources import Archive, Source
from pipeline.config import paths
from pipeline.data import origin
from pipeline.data.origin import Origin
from pipeline.errors import UserError
from pipeline.files import whole_folder
from pipeline.runtime.cli import log
from pipeline.runtime.progress import tracked
from wingloss import protocol
from wingloss.datasets import readers
from wingloss.datasets.face_record import BadSample, stem
from wingloss.datasets.names import printable, some
from wingloss.protocol import Protocol


def run(dataset: str, target: Path) -> None:
    """Makes ``target``, the data set as its publishers lay it out.

    Raises:
        UserError: it is nowhere, or something in it is broken; says where to get it.
    """
    rules, published = protocol.load(dataset), sources.load(dataset)
    mirror = os.environ.get("WINGLOSS_MIRROR", "")
    remote = mirror if mirror.startswith(("http://", "https://")) else None
    incoming = Path(paths.INCOMING.format(dataset=dataset))
    downloads = Path(paths.DOWNLOADS.format(dataset=dataset))
    places = [Path(mirror) / dataset, incoming] if mirror and not remote else [incoming]
    place = next((place for place in places if _holds(place, rules, published)), None)
    if place is None:
        for one in places:
            _refuse_others(one, rules, published)
        if published is None or (not remote and (mirror or published.ask)):
            raise UserError(*_page(places, rules, published))
        place = downloads
        try:
            for archive in published.archives:
                _fetch(archive, place, f"{remote.rstrip('/')}/{dataset}" if remote else None)
        except UserError as error:
            raise UserError(str(error), *_page(places, rules, published)) from error
    note = Origin(dataset, str(place), fetched=place == downloads)
    origin.forget(dataset)
    with whole_folder(target) as new:
        _fill(new, place, published, note)
        if not any((new / part.path).exists() for part in rules.parts if part.split == "train"):
            wanted = ", ".join(part.path for part in rules.parts)
            raise UserError(f"{place}: no training part of {dataset} there; expected {wanted}")
        try:
            _extract(new, rules, note)
            if published:
                _verify(new, place, rules, published)
        except BadSample as error:
            said = str(error).replace(str(new), str(place))
            for archive in published.archives if published and note.fetched else []:
                file = place / archive.file  # what lies in an archive has passed its checksums
                if said.startswith(f"{file}: "):
                    resumable_download.forget(file)
            raise UserError(f"{said}; fetch it again") from error
    note.write()


def _extract(new: Path, rules: Protocol, note: Origin) -> None:
    """Writes the pictures that annotation files hold; those that are broken are said."""
    for made in tracked(readers.extract(new, rules), "writing pictures", None, "pictures"):
        if isinstance(made, BadSample):
            said = str(made).replace(str(new), note.place)
            log.warning("%s; its face will have no picture", said)
        else:
            annotations = next(p.path for p in rules.parts if made.parent.name == stem(p.path))
            note.members[made.relative_to(new).as_posix()] = annotations


def _verify(new: Path, place: Path, rules: Protocol, published: Source) -> None:
    """Whether the folders are there that the annotations take pictures from.

    Single pictures that are missing are the next stage's to list.

    Raises:
        BadSample: an annotation file can't be read.
        UserError: a folder is missing; names the published files that are.
    """
    records = readers.read(new, rules).records
    folders = Counter(PurePosixPath(record.image).parent for record in records)
    lacking = {folder: faces for folder, faces in folders.items() if not (new / folder).is_dir()}
    if not lacking:
        return
    first = min(lacking)
    folder = next(f for f in (*reversed(first.parents), first) if not (new / f).is_dir())
    pieces = {archive.file: _pieces(place, archive) for archive in published.archives}
    absent = [f"{file} isn't there" for file, found in pieces.items() if not found]
    others = [
        f"{path.name} isn't one of the published files: unpack it there"
        for path in sorted(place.iterdir())
        if is_archive(path) and not any(path in found for found in pieces.values())
    ]
    lost = f"{sum(lacking.values())} of {len(records)} faces have no picture"
    said = [f"{place}: {lost}, for there is no folder {folder}", *absent, *others]
    raise UserError("; ".join(said))


def _holds(place: Path, rules: Protocol, published: Source | None) -> bool:
    """Whether any of the data set lies there, unpacked or as published."""
    unpacked = any((place / part.path).exists() for part in rules.parts)
    archives = published.archives if published else []
    return unpacked or any(_pieces(place, archive) for archive in archives)


def _refuse_others(place: Path, rules: Protocol, published: Source | None) -> None:
    """Refuses a folder in which files lie, but none where they belong.

    Raises:
        UserError: they are to be moved.
    """
    found = [PurePosixPath(name) for name, _ in origin.listed(place)] if place.is_dir() else []
    if not found:
        return
    inner = sorted({folder for name in found for folder in name.parents if folder.name})
    deep = next((place / one for one in inner if _holds(place / one, rules, published)), None)
    if deep:
        raise UserError(f"{place}: {rules.name} lies too deep there; move what is in {deep} to it")
    archives = [archive.file for archive in published.archives] if published else []
    raise UserError(
        f"{place}: {len(found)} files lie there ({printable(some(found))}), and none where it "
        f"belongs; expected are {', '.join([part.path for part in rules.parts] + archives)}"
    )


def _pieces(place: Path, archive: Archive) -> list[Path]:
    """The published file in a folder, or the pieces that it is split into, in their order."""
    if (place / archive.file).is_file():
        return [place / archive.file]
    return sorted(place.glob(f"{archive.file}.[0-9][0-9][0-9]"))


def _fetch(archive: Archive, folder: Path, mirror: str | None) -> None:
    """Downloads a published file; the pieces of a split one are joined."""
    target = folder / archive.file
    addresses = [f"{mirror}/{{piece}}"] if mirror else archive.urls
    if archive.pieces == 1:
        urls = [address.replace("{piece}", archive.file) for address in addresses]
        resumable_download.fetch(urls, target, archive.bytes, archive.sha256)
        return
    for i in range(archive.pieces):
        piece = f"{archive.file}.{i + 1:03d}"
        urls = [address.replace("{piece}", piece) for address in addresses]
        resumable_download.fetch(urls, folder / piece, None, None)


def _fill(new: Path, place: Path, published: Source | None, note: Origin) -> None:
    """Copies a folder's files and unpacks the published archives in it, after checking them.

    What was fetched and is no archive is deleted, so that the next run fetches it again.
    """
    packed: set[Path] = set()
    for archive in published.archives if published else []:
        pieces = _pieces(place, archive)
        if not pieces:
            continue
        packed.update(pieces)
        before = set(new.rglob("*"))
        try:
            _deliver(pieces, archive, new)
        except UserError:
            for piece in pieces if note.fetched else []:
                resumable_download.forget(piece)
            raise
        for path in set(new.rglob("*")) - before:  # folders too, which no message names
            note.members[path.relative_to(new).as_posix()] = pieces[0].name
    _copy(place, new, packed, note)


def _deliver(pieces: list[Path], archive: Archive, new: Path) -> None:
    """Brings a published file into a folder, its pieces joined."""
    path = pieces[0]
    if len(pieces) > 1:
        for i in range(1, int(pieces[-1].suffix[1:])):
            piece = pieces[0].with_suffix(f".{i:03d}")
            if piece not in pieces:
                raise UserError(f"{piece}: this piece is missing")
        log.info("joining %d pieces of %s", len(pieces), archive.file)
        path = new / f".{archive.file}"
        join(pieces, path)
    try:
        _take(path, archive, new / archive.into)
    except UserError as error:
        if pieces[0].name == archive.file:  # it isn't split
            raise
        said = str(error).replace(str(path), f"{pieces[0]} to {pieces[-1].suffix}, joined")
        raise UserError(f"{said}; is a piece after these missing?") from error
    if len(pieces) > 1:
        path.unlink()


def _take(path: Path, archive: Archive, into: Path) -> None:
    """Checks a whole published file and unpacks or copies it."""
    resumable_download.check(path, archive.bytes, archive.sha256)
    if is_archive(Path(archive.file)):
        log.info("unpacking %s", archive.file)
        unpack(path, into)
    else:
        with path.open("rb") as file:
            if file.read(100).lstrip().startswith(b"<"):
                raise UserError(f"{path}: a page of the web, not what is published; fetch it again")
        into.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, into / archive.file)


def _copy(place: Path, new: Path, packed: set[Path], note: Origin) -> None:
    """Copies all files but hidden ones; not their permissions: a mirror may be read-only."""
    found = list(origin.listed(place))
    note.files = {name: [stat.st_size, stat.st_mtime_ns] for name, stat in found}
    names = {name: stat.st_size for name, stat in found if place / name not in packed}
    room, needed = shutil.disk_usage(new).free, sum(names.values())
    if needed > room:
        raise UserError(
            f"{place}: {needed >> 20} MiB are to be copied, and the disk of {new.parent} has "
            f"{room >> 20} MiB left"
        )
    for name in tracked(names, "copying", len(names), "files"):
        target = new / name
        target.parent.mkdir(parents=True, exist_ok=True)
        _copy_file(place / name, target, names[name])
    hidden = _hidden(place)
    if hidden:
        log.info("%s: hidden, and so left where they are: %s", place, printable(some(hidden)))


def _copy_file(path: Path, target: Path, size: int) -> None:
    """Copies a file of ``size`` bytes; one that has no end, or grows, isn't followed."""
    with path.open("rb") as source, target.open("wb") as out:
        left = size
        while chunk := source.read(min(CHUNK, left + 1)):
            left -= len(chunk)
            if left < 0:
                break
            out.write(chunk)
    if left:
        raise UserError(f"{path}: it isn't the {size} bytes that were announced; run again")


def _hidden(place: Path) -> list[str]:
    """What of a folder isn't brought in, without the contents of hidden folders."""
    found = []
    for folder, folders, names in os.walk(place, followlinks=True):
        for name in sorted([*folders, *names]):
            if origin.hidden(name):
                found.append(Path(folder, name).relative_to(place).as_posix())
        folders[:] = [name for name in folders if not origin.hidden(name)]
    return found


def _page(places: list[Path], rules: Protocol, published: Source | None) -> list[str]:
    """Where to get the data set and where to put it."""
    lines = [f"{' and '.join(map(str, places))}: there is nothing of {rules.name}."]
    if published:
        lines += [
            f"  home page: {published.home}",
            f"  licence:   {published.licence}",
            f"  to do:     {published.ask or 'fetch the files below from there'}",
            f"Then put these files, as they are or unpacked, under {places[-1]}/:",
            *(f"  {archive.file}" for archive in published.archives),
        ]
    else:
        lines += [f"Put your pictures under {places[-1]}/ (docs/guide/own-data.md)"]
    lines += [
        "unpacked, these are needed (test parts may come later):",
        *(f"  {part.path}" for part in rules.parts),
        f"or set WINGLOSS_MIRROR to a folder or address that holds {rules.name}/.",
    ]
    return lines
