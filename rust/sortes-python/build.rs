//! The docstrings of what is public here stand in the stub, where editors look; the native objects
//! get the same ones.

use std::collections::BTreeMap;
use std::path::Path;
use std::{env, fs};

const STUB: &str = "../../python/sortes/_core/__init__.pyi";

fn main() {
    println!("cargo::rerun-if-changed={STUB}");
    let stub = fs::read_to_string(STUB).expect("the stub stands beside the Python code");
    let out = env::var("OUT_DIR").expect("cargo names it");
    for (name, doc) in docstrings(&stub) {
        fs::write(Path::new(&out).join(name), doc).expect("cargo made the folder");
    }
}

/// The docstrings of classes, functions and methods, under names such as `Stream.advance`.
fn docstrings(stub: &str) -> BTreeMap<String, String> {
    let (mut found, mut class, mut name) = (BTreeMap::new(), String::new(), String::new());
    let mut lines = stub.lines();
    while let Some(line) = lines.next() {
        let (text, inner) = (line.trim_start(), line.starts_with(' '));
        let word =
            |keyword: &str| Some(text.strip_prefix(keyword)?.split(['(', ':']).next()?.to_owned());
        if let Some(of) = word("class ") {
            (class, name) = (of.clone(), of);
        } else if let Some(of) = word("def ") {
            name = if inner { format!("{class}.{of}") } else { of };
        } else if let Some(first) = text.strip_prefix("\"\"\"") {
            let margin = line.len() - text.len();
            let mut doc = first.trim_end_matches("\"\"\"").to_owned();
            while !first.ends_with("\"\"\"") {
                let line = lines.next().expect("a docstring ends");
                if line.trim() == "\"\"\"" {
                    break;
                }
                doc.push('\n');
                doc.push_str(line.get(margin..).unwrap_or_default());
            }
            if !name.is_empty() {
                found.insert(name.clone(), doc);
            }
        }
    }
    found
}
