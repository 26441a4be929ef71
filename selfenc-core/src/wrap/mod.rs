//! Stores around stores: each adds one thing and forwards everything else.
