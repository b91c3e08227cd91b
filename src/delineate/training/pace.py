"""How fast a system learns on this machine."""

import time

import torch

from delineate.system.catalog import find_system
from delineate.system.inference import find_device
from delineate.training.building import as_earlier, build_loader, build_system
from delineate.training.data import training_data, with_proposals
from delineate.training.optimisation import make_optimizer
from delineate.training.precision import computes_in_bf16
from delineate.training.settings import TrainingSettings

WARM_UP, MEASURED = 2, 6


def pictures_a_second(settings: TrainingSettings) -> float:
    """The pictures a second of some training steps, after some to warm up; nothing is kept of them."""
    settings = as_earlier(settings)
    device = find_device(settings.device)
    with torch.random.fork_rng([]):
        train, _, _ = training_data(settings, find_system(settings.model).task)
        checkpoint = build_system(settings, train, [], fresh=True)
        train = with_proposals(train, checkpoint.model, settings.data)
        model = checkpoint.model.to(device)
        loader = build_loader(settings, train, checkpoint.preprocess, rank=0, world_size=1)
        optimizer = make_optimizer(model, settings)
        pictures, steps, began = 0, 0, time.perf_counter()
        while steps < WARM_UP + MEASURED:
            for batch in loader:
                batch = batch.to(device)
                images = checkpoint.preprocess.normalise(batch.images).contiguous(memory_format=torch.channels_last)
                with torch.autocast(device.type, torch.bfloat16, enabled=computes_in_bf16(settings, device)):
                    losses = model.loss(images, batch.targets)
                optimizer.zero_grad()
                torch.stack(list(losses.values())).sum().backward()  # type: ignore[no-untyped-call]
                optimizer.step()
                steps += 1
                if device.type == "cuda":
                    torch.cuda.synchronize()
                if steps == WARM_UP:
                    pictures, began = 0, time.perf_counter()
                elif steps > WARM_UP:
                    pictures += len(batch.files)
                if steps == WARM_UP + MEASURED:
                    break
        seconds = time.perf_counter() - began
        loader.close()
    return pictures / seconds
