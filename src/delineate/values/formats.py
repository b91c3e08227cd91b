"""Every door names the formats of data sets, which are modules in `data/formats`, in these words."""

READ = "coco, voc, yolo, mask_folder, labelme, via or cvat"
WRITTEN = "coco, voc, yolo or mask_folder"
