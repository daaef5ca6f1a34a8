"""``wmdd info``."""

import argparse

from wmdd.cli.arguments import Parser, add_run


def add_arguments(parser: Parser, command: str) -> None:
    """Only the run."""
    add_run(parser)


def execute(arguments: argparse.Namespace) -> None:
    """Say what the run is of, what each stage has done and what is missing."""
    from wmdd.cli.scores import print_scores
    from wmdd.pipeline.resolve import resolve
    from wmdd.pipeline.run_directory import RunDirectory
    from wmdd.pipeline.runner import missing_units
    from wmdd.pipeline.stages import ALL_STAGES
    from wmdd.pipeline.workspace import Workspace
    from wmdd.runtime.progress import Reporter, print_table

    run = RunDirectory(arguments.run)
    config = run.config()
    data = run.data()
    if data:
        print(f"data: {data['source']}, {len(data['classes'])} classes, {data['train']} + {data['validation']} images")
    print(f"distilled: {config.ipc} images per class at {config.data.image_size} px; teacher {config.teacher.arch}")
    work = Workspace(run, config, Reporter(quiet=True))
    work.config = resolve(config, work.source)  # a hand-edited config.yaml may hold an "auto" again
    rows = []
    for stage in ALL_STAGES:
        units = stage.units(work)
        records = run.records(stage.name)
        missing = missing_units(stage, work)
        names = ", ".join(unit.name for unit in missing[:3]) + (", ..." if len(missing) > 3 else "")
        seconds = sum(record.seconds for record in records.values())
        rows.append([stage.name, f"{len(units) - len(missing)} of {len(units)}", f"{seconds:.1f}", names])
    print_table(str(run.path), ["stage", "units", "seconds", "missing"], rows)
    if (run.path / "results.json").is_file():
        print_scores(run)
