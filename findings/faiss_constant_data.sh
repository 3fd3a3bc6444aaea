#!/usr/bin/env bash
# faiss-cpu 1.15.1: k-means of points that are all equal returns centroids that are off the point.
#
# An empty cluster takes over half of a large one: its centroid is that of the large one times
# 1 +- 1/1024 in each coordinate. Among equal points no later step undoes this: clusters stay empty.
#
# Seen for 1000 points (3, 3) and four clusters: coordinates between 2.994 and 3.006 where all points
# are at 3 (16 dimensions at 1.7: between 1.696 and 1.704), and a sum of squares above zero.
#
# Why it matters: constant blocks are common after padding or dead features. The centroids differ
# from the data by up to two thousandths of its offset, where the best clustering has an error of
# zero; duplicates of a cluster look like clusters of their own.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q faiss-cpu==1.15.1 numpy==2.4.6

cat >"$folder/run.py" <<'PYTHON'
import faiss
import numpy as np

for point, dimensions, clusters in ((3.0, 2, 4), (1.7, 16, 10)):
    x = np.full((1000, dimensions), point, np.float32)
    kmeans = faiss.Kmeans(dimensions, clusters, niter=10, seed=1)
    kmeans.train(x)
    low, high = kmeans.centroids.min(), kmeans.centroids.max()
    print(f"all points at {point}: centroids from {low:.4f} to {high:.4f}, error {kmeans.obj[-1]:.2g}")
    off = np.abs(kmeans.centroids / np.float32(point) - 1).max()
    assert 1 / 1200 < off < 1 / 250, "centroids are no longer off as stated"
PYTHON
"$folder/venv/bin/python" "$folder/run.py"
