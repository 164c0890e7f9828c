"""Zip and tar archives for tests, with whatever names and members."""

import io
import tarfile
import warnings
import zipfile


def write_zip(path, members, compression=zipfile.ZIP_DEFLATED):
    with warnings.catch_warnings(), zipfile.ZipFile(path, "w", compression) as archive:
        warnings.simplefilter("ignore")  # equal names
        for name, data in members:
            archive.writestr(name, data)
    return path


def write_tar(path, members, mode="w"):
    """Members are (name, bytes) or ready TarInfos."""
    with tarfile.open(path, mode) as archive:
        for member in members:
            if isinstance(member, tarfile.TarInfo):
                archive.addfile(member)
            else:
                info = tarfile.TarInfo(member[0])
                info.size = len(member[1])
                archive.addfile(info, io.BytesIO(member[1]))
    return path
