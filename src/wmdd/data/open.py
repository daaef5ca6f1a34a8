"""From the settings to a source, and what can be told from a source where a setting says ``auto``."""

import os
from pathlib import Path
from statistics import median

from wmdd.config.data import HUB, TORCHVISION, DataConfig
from wmdd.core.errors import DataError
from wmdd.core.lending import LENT
from wmdd.data.cifar import cifar_layout, open_cifar
from wmdd.data.digits import open_digits
from wmdd.data.disk import DiskTree
from wmdd.data.folder import TRAINING_FOLDERS, open_folder
from wmdd.data.huggingface import is_saved, open_hub, open_parquet, open_saved, parquet_files
from wmdd.data.lossy import converted
from wmdd.data.npz import open_npz
from wmdd.data.own import open_lent
from wmdd.data.shards import holds_samples, open_shards, shards_in
from wmdd.data.source import ImageSource
from wmdd.data.table import open_table
from wmdd.data.tar_archive import CompressedTarTree, TarTree, is_compressed
from wmdd.data.tree import Tree, is_image
from wmdd.data.zip_archive import ZipTree

_SIZES = (32, 64, 96, 128, 160, 192, 224)
_SAMPLE = 64
_KINDS = (
    "'digits', an image folder, an archive of one, WebDataset shards, a .csv, .npz or .parquet file, hf:NAME, or "
    "torchvision:NAME"
)
_TARS = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz")


def open_source(config: DataConfig) -> ImageSource:
    """The digits, or the images that ``config.source`` names. Raises ``DataError`` if they cannot be used."""
    source = _open(config)
    return converted(source) if config.convert else source


def _open(config: DataConfig) -> ImageSource:
    if config.source == "digits":
        return open_digits()
    if not config.source:
        raise DataError(f"data.source is empty: give {_KINDS}")
    share, seed = config.validation, config.split_seed
    if config.source.startswith(LENT):
        return open_lent(config.source, share, seed)
    if config.source.startswith(TORCHVISION):
        from wmdd.data.torchvision_sets import open_torchvision  # half a second, which others need not pay

        root = Path(os.path.expanduser(config.root))
        return open_torchvision(config.source, root, config.download, share, seed)
    if config.source.startswith(HUB):
        return open_hub(config.source, config.download, share, seed)
    return _open_path(config)


def _open_path(config: DataConfig) -> ImageSource:
    share, seed = config.validation, config.split_seed
    # os.path's form leaves an unknown ~user alone, and the sentence about a missing folder then names it.
    path = Path(os.path.expanduser(config.source))
    _check_exists(path)
    memory = config.memory_gb * 1e9
    if path.suffix.lower() == ".npz":
        return open_npz(path, share, seed, memory)
    if path.suffix.lower() == ".csv":
        return open_table(path, share, seed)
    if layout := cifar_layout(path):
        return open_cifar(path, layout)
    if is_saved(path):
        return open_saved(path, share, seed)
    if (files := parquet_files(path)) and not _holds_image_folders(path):
        return open_parquet(path, files, share, seed)
    if (shards := _shards(path)) and not _holds_image_folders(path):
        return open_shards(path if path.is_dir() else path.parent, shards, share, seed)
    return open_folder(_open_tree(path, memory), share, seed)


def _check_exists(path: Path) -> None:
    # os.path's forms answer False, where pathlib's raise, if a folder above may not be entered.
    if not os.path.exists(path):
        raise DataError(f"{path} does not exist or may not be entered: give {_KINDS}")
    if not os.path.isdir(path) and not os.path.isfile(path):
        raise DataError(f"{path} is neither a folder nor a file: give {_KINDS}")


def _holds_image_folders(path: Path) -> bool:
    """Whether images lie in folders below ``path``: a table beside those is not the data."""
    return any(
        is_image(inner.name) or (inner.is_dir() and folder.name.casefold() in TRAINING_FOLDERS)
        for folder in _inside(path)
        for inner in _inside(folder)
    )


def _inside(path: Path) -> list[Path]:
    try:
        return list(path.iterdir())
    except OSError:  # a file, or a folder that may not be entered
        return []


def _shards(path: Path) -> list[Path]:
    """The WebDataset shards that ``path`` is, or is a folder of."""
    if os.path.isdir(path):
        return shards_in(path)
    is_shard = path.suffix.lower() == ".tar" and not is_compressed(path) and holds_samples(path)
    return [path] if is_shard else []


def _open_tree(path: Path, memory: float) -> Tree:
    if os.path.isdir(path):
        return DiskTree(path)
    if path.name.lower().endswith(".zip"):
        return ZipTree(path)
    if path.name.lower().endswith(_TARS):
        return CompressedTarTree(path, memory) if is_compressed(path) else TarTree(path)
    raise DataError(f"{path} is neither a folder nor a .zip, .tar, .tar.gz, .csv, .npz or .parquet file: give {_KINDS}")


def natural_size(source: ImageSource) -> int:
    """The side that suits the images: the largest usual one within the median shorter side of a fixed sample.

    It lies in 32..224. Raises ``DataError`` if a sampled image cannot be read.
    """
    step = -(-len(source.train) // _SAMPLE)
    side = median(min(source.train.read(i).shape[:2]) for i in range(0, len(source.train), step))
    return max((size for size in _SIZES if size <= side), default=_SIZES[0])
