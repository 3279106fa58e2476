// SPDX-License-Identifier: GPL-2.0-or-later

//! The module's own unit tests. The kernel's KUnit runs them when the module is loaded, if an argument for the kernel
//! says so.

use my_rng_e2e::tap;

use crate::watched;

/// Runs the kernel's tests of this name. Returns the suites, sorted, because their order is the linker's, and how many
/// tests there were.
fn run(filter: &str) -> (Vec<String>, usize) {
    let guest = watched::guest(&format!("kunit.enable=1 kunit.filter_glob={filter}"))
        .run(&["true"])
        .success();
    let checks = tap::all_passed(guest.messages())
        .unwrap_or_else(|problems| panic!("{problems}\n{}", guest.report()));
    let suites = checks.iter().filter(|check| check.depth == 0);
    let mut suites: Vec<_> = suites.map(|suite| suite.name.to_owned()).collect();
    let tests = checks.len() - suites.len();
    assert!(tests > 0, "there is no test: {}", guest.report());
    suites.sort();
    println!("{tests} tests in these suites: {suites:?}");
    (suites, tests)
}

#[test]
fn unit_tests_of_the_module_pass() {
    let (suites, tests) = run("my_rng*");
    assert_eq!(
        suites,
        [
            "my_rng_block",
            "my_rng_counter",
            "my_rng_hw_random",
            "my_rng_identity",
            "my_rng_node"
        ]
    );
    assert!(tests > suites.len());
}

/// The examples in the documentation of what `linux-patches/` adds to the kernel.
#[test]
#[ignore = "only the kernel of scripts/check-debug-kernel.sh has such tests"]
fn examples_of_hw_random_pass() {
    let (suites, tests) = run("rust_doctests_kernel.*hw_random*");
    assert_eq!(suites, ["rust_doctests_kernel"]);
    assert!(tests > 1);
}
