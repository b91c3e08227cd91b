"""DETR's transformer: Carion et al. 2020, "End-to-end object detection with transformers", appendix A.3, figure 10.

B  pictures    S  places of the feature map    Q  queries    D  width

Of a picture that is padded, `seen` says which places are its own, and no attention looks at others.

Normalisation comes after each residual sum (Vaswani et al. 2017). Where something stands is added to queries and keys
of every attention, and never to its values.
"""

from collections.abc import Callable

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional as F

from delineate.models.queries.positions import sine_places
from delineate.models.queries.queries import Queries

Activation = Callable[[Tensor], Tensor]


class Attention(nn.Module):
    """Multi-head attention takes queries, keys and values apart."""

    def __init__(self, width: int, num_heads: int) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.query, self.key, self.value, self.out = (_linear(width, width) for _ in range(4))

    def forward(
        self,
        query: Float[Tensor, "b q d"],
        key: Float[Tensor, "b s d"],
        value: Float[Tensor, "b s d"],
        *,
        seen: Bool[Tensor, "#b #q s"] | None = None,
    ) -> Float[Tensor, "b q d"]:
        """Let each query look at the keys that it has `seen`, or at all."""
        heads = (self._split(self.query(query)), self._split(self.key(key)), self._split(self.value(value)))
        attended = F.scaled_dot_product_attention(*heads, attn_mask=None if seen is None else seen[:, None])
        out: Tensor = self.out(attended.transpose(1, 2).flatten(2))
        return out

    def begin_with_likeness(self) -> None:
        """Look at what is alike: keys have the weights of the queries until training parts them."""
        self.key.load_state_dict(self.query.state_dict())

    def _split(self, x: Tensor) -> Tensor:
        return x.view(*x.shape[:-1], self.num_heads, -1).transpose(1, 2)


class FeedForward(nn.Module):
    """Two linear layers follow each other."""

    def __init__(self, width: int, hidden: int, activation: Activation = F.relu) -> None:
        super().__init__()
        self.activation = activation
        self.enlarge, self.shrink = _linear(width, hidden), _linear(hidden, width)

    def forward(self, x: Float[Tensor, "b s d"]) -> Float[Tensor, "b s d"]:
        out: Tensor = self.shrink(self.activation(self.enlarge(x)))
        return out


class EncoderLayer(nn.Module):
    """Every place of the picture looks at every other."""

    def __init__(
        self, *, width: int, num_heads: int, hidden: int, dropout: float, activation: Activation = F.relu
    ) -> None:
        super().__init__()
        self.attention, self.attention_norm = Attention(width, num_heads), nn.LayerNorm(width)
        self.feed_forward, self.feed_forward_norm = FeedForward(width, hidden, activation), nn.LayerNorm(width)
        self.dropout = nn.Dropout(dropout)

    def forward(
        self, x: Float[Tensor, "b s d"], places: Float[Tensor, "#b s d"], seen: Bool[Tensor, "b 1 s"] | None = None
    ) -> Float[Tensor, "b s d"]:
        placed = x + places
        x = self.attention_norm(x + self.dropout(self.attention(placed, placed, x, seen=seen)))
        out: Tensor = self.feed_forward_norm(x + self.dropout(self.feed_forward(x)))
        return out


class DecoderLayer(nn.Module):
    """Queries look at each other, then at the picture."""

    def __init__(self, *, width: int, num_heads: int, hidden: int, dropout: float) -> None:
        super().__init__()
        self.attention, self.attention_norm = Attention(width, num_heads), nn.LayerNorm(width)
        self.cross_attention, self.cross_attention_norm = Attention(width, num_heads), nn.LayerNorm(width)
        self.feed_forward, self.feed_forward_norm = FeedForward(width, hidden), nn.LayerNorm(width)
        self.dropout = nn.Dropout(dropout)

    def forward(
        self,
        x: Float[Tensor, "b q d"],
        queries: Float[Tensor, "#b q d"],
        memory: Float[Tensor, "b s d"],
        places: Float[Tensor, "#b s d"],
        seen: Bool[Tensor, "b 1 s"] | None = None,
    ) -> Float[Tensor, "b q d"]:
        placed = x + queries
        x = self.attention_norm(x + self.dropout(self.attention(placed, placed, x)))
        looked = self.cross_attention(x + queries, memory + places, memory, seen=seen)
        x = self.cross_attention_norm(x + self.dropout(looked))
        out: Tensor = self.feed_forward_norm(x + self.dropout(self.feed_forward(x)))
        return out


class Transformer(nn.Module):
    """Feature maps and queries become what each decoder layer makes of each query."""

    def __init__(self, *, width: int, num_heads: int, hidden: int, num_layers: int, dropout: float) -> None:
        super().__init__()
        self.width = width
        options = {"width": width, "num_heads": num_heads, "hidden": hidden, "dropout": dropout}
        self.encoder = nn.ModuleList(EncoderLayer(**options) for _ in range(num_layers))  # type: ignore[arg-type]
        self.decoder = nn.ModuleList(DecoderLayer(**options) for _ in range(num_layers))  # type: ignore[arg-type]
        self.norm = nn.LayerNorm(width)

    def forward(
        self,
        features: Float[Tensor, "b d h w"],
        make_queries: Callable[[Tensor, Tensor | None], Queries],
        filled: Float[Tensor, "b 2"] | None = None,
    ) -> Float[Tensor, "l b q d"]:
        """Give `make_queries` what the encoder makes of the features, and run the decoder.

        Where pictures are padded, `filled` says how many rows and columns of the map each fills. Queries that know
        something answer before the first layer, too.
        """
        grid = (features.shape[-2], features.shape[-1])
        places = sine_places(grid, self.width, filled).to(features).view(-1, grid[0] * grid[1], self.width)
        seen = None if filled is None else _within(grid, filled)
        memory = features.flatten(2).transpose(1, 2)
        for layer in self.encoder:
            memory = layer(memory, places, seen)
        own = memory if seen is None else memory * seen.transpose(1, 2)
        content, queries = make_queries(own.transpose(1, 2).view_as(features), filled)
        states = [] if content is None else [self.norm(content)]
        x = memory.new_zeros(memory.shape[0], *queries.shape[1:]) if content is None else content
        for layer in self.decoder:
            x = layer(x, queries, memory, places, seen)
            states.append(self.norm(x))
        return torch.stack(states)


def _within(grid: tuple[int, int], filled: Float[Tensor, "b 2"]) -> Bool[Tensor, "b 1 s"]:
    """Tell the places of the first `filled` rows and columns."""
    rows, columns = (torch.arange(side, device=filled.device) < filled[:, [axis]] for axis, side in enumerate(grid))
    return (rows[:, :, None] & columns[:, None]).flatten(1)[:, None]


def _linear(in_features: int, out_features: int) -> nn.Linear:
    layer = nn.Linear(in_features, out_features)
    nn.init.xavier_uniform_(layer.weight)  # section 4, technical details
    nn.init.zeros_(layer.bias)
    return layer
