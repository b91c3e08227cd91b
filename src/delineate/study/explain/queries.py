"""Set prediction is explained by what the winning queries look at."""

import torch
from torch import Tensor

from delineate.models.queries import DETR
from delineate.models.queries.transformer import Attention
from delineate.study.explain.stages import LARGEST_OF_EACH, Least, Seen, Stage, boxes_score, watched

NUM_QUERIES = 6


def explain_queries(seen: Seen, model: DETR, score: Least) -> list[Stage]:
    """Show the attention of the likeliest queries, and what they say."""
    layer = model.transformer.decoder[-1]
    attention = layer.cross_attention
    assert isinstance(attention, Attention)
    with watched([attention]) as calls:
        raw = model(*seen.inputs)
    ((_, (query, key, _), _),) = calls
    weights = attention_weights(attention, query, key)[0]
    features = model.backbone(seen.inputs.images).levels[-1]
    best = raw.logits[-1, 0].softmax(-1)[:, :-1].amax(1)
    winners = best.argsort(descending=True)[:NUM_QUERIES].tolist()
    names = seen.system.categories.class_names
    labels = raw.logits[-1, 0, :, :-1].argmax(1).tolist()
    maps = [
        (f"query {row}: {names[labels[row]]} {float(best[row]):.2f}", seen.heat(weights[row].view(features.shape[-2:])))
        for row in winners
    ]
    likely = seen.result(raw).above(score)
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
            f"{boxes_score(len(likely), score)}.",
            pictures=[("detections", seen.drawn(likely))],
        ),
    ]


def attention_weights(attention: Attention, query: Tensor, key: Tensor) -> Tensor:
    """Compute how much each query `(B, Q)` takes from each place `(S)`, over all heads; each query's sum to 1."""
    q, k = attention._split(attention.query(query)), attention._split(attention.key(key))
    scores = q @ k.transpose(-2, -1) / q.shape[-1] ** 0.5
    return torch.softmax(scores.float(), -1).mean(1)
