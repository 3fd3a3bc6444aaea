//! Every instruction set against plain loops, and against each other to the last bit.
