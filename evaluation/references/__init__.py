"""Reference sets: real images that anyone can build again. To add one, write its module and give it a line below."""

REFERENCES: dict[str, str] = {
    "coco30k": "evaluation.references.coco:COCO_30K",
    "coco10k": "evaluation.references.coco:COCO_10K",
    "cc-all": "evaluation.references.conceptual:ALL",
    "cc-faces": "evaluation.references.conceptual:FACES",
    "cc-photography": "evaluation.references.conceptual:PHOTOGRAPHY",
    "cc-paintings": "evaluation.references.conceptual:PAINTINGS",
}
