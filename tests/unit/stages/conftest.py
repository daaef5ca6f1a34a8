"""A small world, trained once."""

import pytest
import torch
from small_world import SIZE, World, new_network

from wmdd.config import DataConfig, TeacherConfig
from wmdd.core.types import Preprocessing
from wmdd.data import load_images, open_source
from wmdd.models import Teacher
from wmdd.runtime.device import Machine
from wmdd.stages.statistics import collect_statistics
from wmdd.stages.teacher import train_teacher


@pytest.fixture(scope="session")
def world() -> World:
    machine, preprocessing, source = (
        Machine(torch.device("cpu"), "float64"),
        Preprocessing(SIZE),
        open_source(DataConfig()),
    )
    train, validation = (
        load_images(split, SIZE, DataConfig(), machine.device) for split in (source.train, source.validation)
    )
    network = new_network(width=16)
    train_teacher(network, train, preprocessing, TeacherConfig(epochs=3), machine, 0, flip=False)
    teacher = Teacher(
        network, arch="convnet3", stem="small", preprocessing=preprocessing, class_names=source.class_names
    )
    statistics = collect_statistics(teacher, train, range(10), machine, 200)
    return World(machine, preprocessing, train, validation, teacher, statistics)
