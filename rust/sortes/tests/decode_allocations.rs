//! Where the shape stays the same, only the first draws ask for memory: the buffers of a thread are
//! kept.

#![allow(clippy::unwrap_used)]

use half::{bf16, f16};
use sortes::decode::{Call, Element, Mask, Method, Options, RULES, Rows, Rules};
use sortes_core::Run;
use sortes_core::rng::{Purpose, Stream};
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

thread_local! {
    /// How many bytes this thread has asked for.
    static ASKED: Cell<usize> = const { Cell::new(0) };
}

/// The system's memory, counted.
struct Counted;

// SAFETY: every request goes to the system as it is; the counter needs no memory and no destructor.
unsafe impl GlobalAlloc for Counted {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ASKED.set(ASKED.get() + layout.size());
        // SAFETY: the caller's promises are those that the system asks for.
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: as above; the memory came from the system.
        unsafe { System.dealloc(memory, layout) }
    }
    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        ASKED.set(ASKED.get() + size);
        // SAFETY: as above.
        unsafe { System.realloc(memory, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counted = Counted;

/// Rows of one length.
struct Matrix<T>(Vec<Vec<T>>);

impl<T: Sync> Rows<T> for Matrix<T> {
    fn rows(&self) -> usize {
        self.0.len()
    }
    fn cols(&self) -> usize {
        self.0[0].len()
    }
    fn row(&self, row: usize) -> &[T] {
        &self.0[row]
    }
}

const PIPELINES: [&[(&str, f64)]; 14] = [
    &[],
    &[("temperature", 0.0)],
    &[("temperature", 0.7)],
    &[("top_k", 50.0)],
    &[("top_k", 3000.0)],
    &[("top_p", 0.9)],
    &[("top_p", 0.5), ("min_p", 0.01)],
    &[("temperature", 0.7), ("top_k", 50.0), ("top_p", 0.95)],
    &[("typical_p", 0.9)],
    &[("min_p", 0.1)],
    &[("epsilon_cutoff", 3e-4)],
    &[("eta_cutoff", 3e-4)],
    &[("top_n_sigma", 1.0)],
    &[("xtc_probability", 0.5), ("xtc_threshold", 0.01), ("smoothing_factor", 0.2)],
];

/// Flat, narrow, peaked and tied rows: what one draw needs another may not.
fn rows(cols: usize) -> Vec<Vec<f32>> {
    let mut draws = Stream::new(15).draws(Purpose::Uniform, 0);
    let mut normal =
        |sd: f64| -> Vec<f32> { (0..cols).map(|_| (draws.normal() * sd) as f32).collect() };
    let mut rows = vec![normal(2.0), normal(0.01), normal(5.0), normal(2.0)];
    rows[3].iter_mut().for_each(|l| *l = l.round());
    rows
}

fn calls<T: Element>(rows: &Matrix<T>, rules: &Rules, steps: std::ops::Range<u32>, method: Method) {
    let mut tokens = [0; 4];
    for step in steps {
        let streams = [Stream::new(7).at_step(step)];
        let call = Call { rules, streams: &streams, rows: None, bias: None, mask: Mask::None };
        call.sample(rows, None, method, &mut tokens, Run::alone()).unwrap();
    }
}

fn order() -> Options {
    let order = RULES.iter().filter(|rule| !rule.parameters.is_empty()).collect();
    Options { order, ..Options::default() }
}

fn none_after_the_first<T: Element>(cols: usize, steps: u32, of: fn(f32) -> T) {
    let rows = Matrix(rows(cols).iter().map(|row| row.iter().map(|l| of(*l)).collect()).collect());
    for given in PIPELINES {
        let mut rules = Rules::new(order());
        for (name, value) in given {
            rules.set(name, *value).unwrap();
        }
        for method in [Method::Auto, Method::Scan] {
            calls(&rows, &rules, 0..1, method);
            let first = ASKED.get();
            calls(&rows, &rules, 1..steps, method);
            let asked = ASKED.get() - first;
            assert_eq!(asked, 0, "{}, {cols} logits, {given:?}", std::any::type_name::<T>());
        }
    }
}

/// The bytes that a thread of its own asks for to draw once.
fn asked_by_another_thread(rows: &Matrix<f32>) -> usize {
    std::thread::scope(|scope| {
        let draw = || {
            let mut rules = Rules::new(order());
            rules.set("top_p", 0.9).unwrap();
            let before = ASKED.get();
            calls(rows, &rules, 0..1, Method::Auto);
            ASKED.get() - before
        };
        scope.spawn(draw).join().unwrap()
    })
}

/// One test, since buffers of ended threads go to whoever comes next.
#[test]
fn only_the_first_draws_ask_for_memory() {
    for (cols, steps) in [(1_000, 60), (20_000, 20), (140_000, 4)] {
        none_after_the_first(cols, steps, |l| l);
        none_after_the_first(cols, steps, f16::from_f32);
        none_after_the_first(cols, steps, bf16::from_f32);
        none_after_the_first(cols, steps, f64::from);
    }
    // A long call has a thread of its own: that one takes over what the last one had.
    let rows = Matrix(rows(20_000));
    let (first, second) = (asked_by_another_thread(&rows), asked_by_another_thread(&rows));
    assert!(first > 20_000 * size_of::<f32>(), "{first} bytes");
    assert!(second < 256, "{second} bytes, where the first thread took {first}");
}
