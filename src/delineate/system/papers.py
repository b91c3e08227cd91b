"""Where the papers that the catalog names can be read."""

LINKS = {
    "Farabet et al. 2013": "https://doi.org/10.1109/TPAMI.2012.231",
    "Long et al. 2015": "https://arxiv.org/abs/1411.4038",
    "Badrinarayanan et al. 2017": "https://arxiv.org/abs/1511.00561",
    "Ronneberger et al. 2015": "https://arxiv.org/abs/1505.04597",
    "Sermanet et al. 2014": "https://arxiv.org/abs/1312.6229",
    "Toshev & Szegedy 2014": "https://arxiv.org/abs/1312.4659",
    "Girshick et al. 2014": "https://arxiv.org/abs/1311.2524",
    "Girshick 2015": "https://arxiv.org/abs/1504.08083",
    "Ren et al. 2015": "https://arxiv.org/abs/1506.01497",
    "Lin et al. 2017": "https://arxiv.org/abs/1612.03144",
    "Lin et al. 2017b": "https://arxiv.org/abs/1708.02002",
    "Tian et al. 2019": "https://arxiv.org/abs/1904.01355",
    "Chen et al. 2017": "https://arxiv.org/abs/1706.05587",
    "Chen et al. 2018": "https://arxiv.org/abs/1802.02611",
    "Howard et al. 2019": "https://arxiv.org/abs/1905.02244",
    "Xie et al. 2021": "https://arxiv.org/abs/2105.15203",
    "He et al. 2017": "https://arxiv.org/abs/1703.06870",
    "Redmon et al. 2016": "https://arxiv.org/abs/1506.02640",
    "Redmon & Farhadi 2017": "https://arxiv.org/abs/1612.08242",
    "Liu et al. 2016": "https://arxiv.org/abs/1512.02325",
    "Carion et al. 2020": "https://arxiv.org/abs/2005.12872",
    "Wang et al. 2022": "https://arxiv.org/abs/2109.07107",
    "Zhao et al. 2024": "https://arxiv.org/abs/2304.08069",
    "Lv et al. 2024": "https://arxiv.org/abs/2407.17140",
    "Peng et al. 2024": "https://arxiv.org/abs/2410.13842",
    "Jia et al. 2023": "https://arxiv.org/abs/2207.13080",
}


def papers(named: str) -> list[tuple[str, str | None]]:
    """Part what an entry of the catalog says of its papers into each with its link, `None` for what is no paper."""
    return [(paper, LINKS.get(paper.split(",")[0])) for paper in named.split("; ")]
