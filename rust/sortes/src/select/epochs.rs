//! What each epoch of a training run sees.
