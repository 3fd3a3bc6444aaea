//! The k-means++ family: centres drawn in proportion to the squared distance from those before.
