//! The way of a whole file, from text to plan.

use super::*;

#[test]
fn every_builtin_loads() {
    for builtin in builtins() {
        if let Err(errors) = builtin.plan() {
            panic!("{}: {errors}", builtin.name);
        }
    }
}
