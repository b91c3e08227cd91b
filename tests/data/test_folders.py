from pathlib import Path

from PIL import Image

from delineate.data.folders import inside, pictures_in


def test_hidden_files_and_folders_are_passed_over_and_links_followed(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    root = tmp_path / "pictures"
    for name in ("a", ".b", "__MACOSX/c", ".d/e", "f/g"):
        path = root / f"{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (1, 1)).save(path)
    Image.new("RGB", (1, 1)).save(tmp_path / "elsewhere" / "h.png")
    (root / "link").symlink_to(tmp_path / "elsewhere")
    (root / "f" / "circle").symlink_to(root)
    (root / "lost.png").symlink_to(root / "nowhere")
    assert [str(path.relative_to(root)) for path in pictures_in(root)] == ["a.png", "f/g.png", "link/h.png"]


def test_a_folder_is_found_in_any_capitals(tmp_path: Path) -> None:
    (tmp_path / "Images").mkdir()
    assert inside(tmp_path, ["JPEGImages", "images"]) == tmp_path / "Images"
    assert inside(tmp_path, ["labels", "masks"]) == tmp_path / "labels"
    assert inside(tmp_path / "none", ["labels"]) == tmp_path / "none" / "labels"
