"""Set prediction is explained by what the winning queries look at."""

import torch
from jaxtyping import Float
from torch import Tensor

from delineate.models.queries import DETR, RTDETR
from delineate.models.queries.deformable import DeformableAttention
from delineate.models.queries.transformer import Attention
from delineate.study.explain.stages import LARGEST_OF_EACH, Explained, Seen, Stage, boxes_score, watched

NUM_QUERIES = 6
NUM_CELLS = 40
"""A map of where a query looks has as many cells along each side."""


def explain_queries(seen: Seen, model: DETR) -> list[Stage]:
    """Show the attention of the likeliest queries, and what they say."""
    layer = model.transformer.decoder[-1]
    attention = layer.cross_attention
    assert isinstance(attention, Attention)
    with watched([attention]) as calls:
        raw = model(*seen.inputs)
    ((_, (query, key, _), _),) = calls
    weights = attention_weights(attention, query, key)[0]
    features, stride = model.backbone(seen.inputs.images).levels[-1], model.backbone.strides[-1]
    best = raw.logits[-1, 0].softmax(-1)[:, :-1].amax(1)
    winners = best.argsort(descending=True)[:NUM_QUERIES].tolist()
    names = seen.system.categories.class_names
    labels = raw.logits[-1, 0, :, :-1].argmax(1).tolist()
    maps = [
        (
            f"query {row}: {names[labels[row]]} {float(best[row]):.2f}",
            seen.heat(weights[row].view(features.shape[-2:]), stride=stride),
        )
        for row in winners
    ]
    likely = seen.result(raw).above(seen.least)
    return [
        Stage(
            title="What the queries look at",
            line=f"Of {len(best)} queries the likeliest {len(winners)}: where each one looks in the last decoder "
            f"layer, the mean over {attention.num_heads} heads. Light is where it looks.",
            pictures=maps,
            scale=LARGEST_OF_EACH,
        ),
        Stage(
            title="What they say",
            line="Each query answers for one object or for none, and no NMS is needed. "
            f"{boxes_score(len(likely), seen.least)}.",
            pictures=[("detections", seen.drawn(likely))],
        ),
    ]


def explain_selected_queries(seen: Seen, model: RTDETR) -> list[Stage]:
    """Show where the memory is likely to hold something, what the likeliest queries look at, and what they say."""
    look = model.decoder.layers[-1].look
    assert isinstance(look, DeformableAttention)
    with watched([model.selection.classify, look]) as calls:
        raw = model(*seen.inputs)
    (_, _, likely), (_, (query, boxes, memory), _) = calls
    places = likely[0].float().sigmoid().amax(1).split([rows * columns for rows, columns in memory.grids])
    strides = [seen.input_size[0] // rows for rows, _ in memory.grids]
    best, labels = raw.logits[-1, 0].sigmoid().max(1)
    winners = best.argsort(descending=True)[:NUM_QUERIES].tolist()
    names = seen.system.categories.class_names
    points, weights = look.points(query[:, winners], boxes[:, winners])
    layers = [raw._replace(logits=raw.logits[: i + 1], boxes=raw.boxes[: i + 1]) for i in range(len(raw.logits))]
    said = [seen.result(layer).above(seen.least) for layer in layers]
    return [
        Stage(
            title="Where queries begin",
            line=f"The {len(best)} likeliest of {len(likely[0]):,} places become queries. Light is where a place says "
            "that it holds an object, of whatever class.",
            pictures=[
                (f"stride {stride}, {rows} x {columns}", seen.heat(place.view(rows, columns)))
                for stride, place, (rows, columns) in zip(strides, places, memory.grids, strict=True)
            ],
            scale=LARGEST_OF_EACH,
        ),
        Stage(
            title="What the queries look at",
            line=f"The likeliest {len(winners)} queries in the last decoder layer: each of {look.num_heads} heads "
            f"looks at {sum(look.num_points)} points. Light is where it looks.",
            pictures=[
                (f"query {row}: {names[int(labels[row])]} {float(best[row]):.2f}", seen.heat(gathered(*one)))
                for row, *one in zip(winners, points[0], weights[0], strict=True)
            ],
            scale=LARGEST_OF_EACH,
        ),
        Stage(
            title="Layer by layer",
            line="Each layer says a class and a box of each query, and the next one begins with that box.",
            pictures=[(f"after layer {i}" if i else "the places", seen.drawn(one)) for i, one in enumerate(said[:-1])],
        ),
        Stage(
            title="What they say",
            line="Each query answers for one object or for none, and no NMS is needed. "
            f"{boxes_score(len(said[-1]), seen.least)}.",
            pictures=[("detections", seen.drawn(said[-1]))],
        ),
    ]


def gathered(points: Float[Tensor, "h p 2"], weights: Float[Tensor, "h p"]) -> Float[Tensor, "c c"]:
    """Add up the weights of a query's points in the cells of a map; points beyond the picture count at its border."""
    x, y = (points.flatten(0, 1) * NUM_CELLS).long().clamp(0, NUM_CELLS - 1).unbind(-1)
    cells = weights.new_zeros(NUM_CELLS * NUM_CELLS)
    return cells.index_add(0, y * NUM_CELLS + x, weights.flatten()).view(NUM_CELLS, NUM_CELLS)


def attention_weights(attention: Attention, query: Tensor, key: Tensor) -> Tensor:
    """Compute how much each query `(B, Q)` takes from each place `(S)`, over all heads; each query's sum to 1."""
    q, k = attention._split(attention.query(query)), attention._split(attention.key(key))
    scores = q @ k.transpose(-2, -1) / q.shape[-1] ** 0.5
    return torch.softmax(scores.float(), -1).mean(1)


EXPLAINED: Explained = {DETR: explain_queries, RTDETR: explain_selected_queries}
