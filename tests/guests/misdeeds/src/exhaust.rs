//! Using up what there is: time, memory, stack, the log. None of it ever returns.

use std::hint::black_box;

use hillock_plugin_sdk::log;

pub(crate) fn spin() -> ! {
    let mut turns = 0_u64;
    loop {
        turns = black_box(turns.wrapping_add(1));
    }
}

pub(crate) fn grow() -> ! {
    const BLOCK_BYTES: usize = 1024 * 1024;
    let mut blocks = Vec::new();
    loop {
        blocks.push(black_box(vec![1_u8; BLOCK_BYTES]));
    }
}

pub(crate) fn recurse() -> ! {
    black_box(deeper(black_box(1)));
    unreachable!("the recursion has no end")
}

/// Something is left to do after the inner call, so that no loop can replace it; and there are no
/// locals in memory, so that the engine's stack ends before the component's own does.
#[inline(never)]
fn deeper(depth: u64) -> u64 {
    if depth == 0 {
        return 0;
    }
    deeper(depth.wrapping_add(1)).rotate_left(7) ^ depth
}

pub(crate) fn log() -> ! {
    loop {
        log::info("a hostile component logs");
    }
}
