"""Figures printed in arXiv 2311.18531: top-1 in percent of ResNet-18 unless a row names another student."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Published:
    """``top1`` (or ``seconds`` of an iteration) of ``method`` on ``data``, as printed."""

    method: str
    data: str
    ipc: int | None = None
    student: str = "resnet18"
    top1: float | None = None
    seconds: float | None = None


def _main(method: str, data: str, **by_ipc: float) -> list[Published]:
    return [Published(method, data, int(ipc.removeprefix("ipc")), top1=top1) for ipc, top1 in by_ipc.items()]


def _students(data: str, ipc: int, *top1: float) -> list[Published]:
    names = ("resnet18", "resnet50", "resnet101", "vit_tiny_patch16_224", "vit_small_patch16_224")
    return [Published("wmdd-paper", data, ipc, name, found) for name, found in zip(names, top1, strict=True)]


def _ablation(method: str, *top1: float) -> list[Published]:
    sets = ("ImageNette", "Tiny-ImageNet", "ImageNet-1K")
    return [Published(method, data, 10, top1=found) for data, found in zip(sets, top1, strict=True)]


def _divergences(method: str, *top1: float) -> list[Published]:
    data = "data set not named"
    return [Published(method, data, ipc, top1=found) for ipc, found in zip((1, 10, 50), top1, strict=True)]


PUBLISHED: dict[str, list[Published]] = {
    "main": [
        *_main("random", "ImageNette", ipc1=23.5, ipc10=47.7),
        *_main("dm", "ImageNette", ipc1=32.8, ipc10=58.1),
        *_main("sre2l", "ImageNette", ipc1=20.6, ipc10=54.2, ipc50=80.4, ipc100=85.9),
        *_main("wmdd-paper", "ImageNette", ipc1=40.2, ipc10=64.8, ipc50=83.5, ipc100=87.1),
        *_main("random", "Tiny-ImageNet", ipc1=1.5, ipc10=6.0, ipc50=16.8),
        *_main("dm", "Tiny-ImageNet", ipc1=3.9, ipc10=12.9, ipc50=24.1),
        *_main("sre2l", "Tiny-ImageNet", ipc50=41.1, ipc100=49.7),
        *_main("cda", "Tiny-ImageNet", ipc50=48.7, ipc100=53.2),
        *_main("wmdd-paper", "Tiny-ImageNet", ipc1=7.6, ipc10=41.8, ipc50=59.4, ipc100=61.0),
        *_main("random", "ImageNet-1K", ipc1=0.5, ipc10=3.6, ipc50=15.3),
        *_main("dm", "ImageNet-1K", ipc1=1.5),
        *_main("sre2l", "ImageNet-1K", ipc10=21.3, ipc50=46.8, ipc100=52.8),
        *_main("cda", "ImageNet-1K", ipc50=53.5, ipc100=58.0),
        *_main("wmdd-paper", "ImageNet-1K", ipc1=3.2, ipc10=38.2, ipc50=57.6, ipc100=60.7),
    ],
    "cross-architecture": [
        *_students("Tiny-ImageNet", 10, 41.6, 34.8, 35.5, 22.6, 21.3),
        *_students("Tiny-ImageNet", 50, 59.3, 60.2, 60.9, 39.3, 41.8),
        *_students("ImageNet-1K", 10, 38.4, 43.0, 41.7, 18.4, 19.0),
        *_students("ImageNet-1K", 50, 57.8, 61.2, 62.6, 43.6, 45.7),
    ],
    "ablation": [
        *_ablation("wasserstein-class", 64.7, 41.8, 38.1),
        *_ablation("cross-entropy-class", 63.8, 41.0, 37.3),
        *_ablation("wasserstein-all", 60.7, 36.6, 26.8),
        *_ablation("cross-entropy-all", 54.2, 38.0, 35.9),
    ],
    "mmd": [*_divergences("wasserstein", 5.77, 10.45, 20.41), *_divergences("mmd", 0.48, 9.03, 19.1)],
    "sliced": [],  # "slightly faster, slightly worse", without figures
    "lambda": [],  # a curve, flat from about 10 up
    "cost": [
        Published("wmdd-paper", "ImageNette", seconds=0.013),
        Published("sre2l", "ImageNette", seconds=0.015),
        Published("dm", "ImageNette", seconds=1.965),
        Published("dc", "ImageNette", seconds=2.154),
    ],
    "figure5": [],  # a picture
}
