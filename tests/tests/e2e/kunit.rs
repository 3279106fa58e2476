// SPDX-License-Identifier: GPL-2.0-or-later

//! The module's own unit tests, which the kernel runs when the module is loaded: its KUnit, which the
//! built kernel has, and which an argument for the kernel switches on.

use crate::watched;

/// What one line of KTAP, the format of the kernel's test results, says.
#[derive(Debug, PartialEq)]
enum Line<'a> {
    /// The name of the suite that begins.
    Subtest(&'a str),
    /// A result, how deep it is nested, and of what.
    Result(bool, usize, &'a str),
    /// A test that was left out.
    Skipped(&'a str),
}

fn line(message: &str) -> Option<Line<'_>> {
    let text = message.trim_start_matches(' ');
    let depth = (message.len() - text.len()) / 4;
    if let Some(name) = text.strip_prefix("# Subtest: ") {
        return Some(Line::Subtest(name));
    }
    let (passed, rest) = match text.strip_prefix("not ok ") {
        Some(rest) => (false, rest),
        None => (true, text.strip_prefix("ok ")?),
    };
    let (number, name) = rest.split_once(' ')?;
    number.parse::<u32>().ok()?;
    let (name, directive) = name.split_once(" #").unwrap_or((name, ""));
    if directive.trim_start().starts_with("SKIP") {
        return Some(Line::Skipped(name));
    }
    Some(Line::Result(passed, depth, name))
}

/// Runs the tests that the kernel has of this name. Returns the suites, sorted, for their order is the
/// linker's, and how many tests there were.
fn run(filter: &str) -> (Vec<String>, usize) {
    let guest = watched::guest(&format!("kunit.enable=1 kunit.filter_glob={filter}"))
        .run(&["true"])
        .success();
    let messages = guest.messages();
    let (mut suites, mut tests) = (vec![], 0);
    for result in messages.iter().filter_map(|text| line(text)) {
        match result {
            Line::Subtest(name) => suites.push(name.to_owned()),
            Line::Result(true, 0, name) => assert!(suites.iter().any(|suite| suite == name)),
            Line::Result(true, ..) => tests += 1,
            Line::Result(false, _, name) => panic!("{name} failed: {}", guest.report()),
            Line::Skipped(name) => panic!("{name} was left out: {}", guest.report()),
        }
    }
    assert!(tests > 0, "there is no test: {}", guest.report());
    suites.sort();
    println!("{tests} tests in these suites: {suites:?}");
    (suites, tests)
}

#[test]
fn the_module_s_unit_tests_pass() {
    let (suites, tests) = run("my_rng*");
    assert_eq!(suites, ["my_rng_identity", "my_rng_node", "my_rng_pool"]);
    assert!(tests > suites.len());
}

/// The examples in the documentation of what `linux-patches/` adds to the kernel.
#[test]
#[ignore = "only the kernel of scripts/check-debug-kernel.sh has such tests"]
fn the_examples_of_hw_random_pass() {
    let (suites, tests) = run("rust_doctests_kernel.*hw_random*");
    assert_eq!(suites, ["rust_doctests_kernel"]);
    assert!(tests > 1);
}

#[test]
fn ktap_is_understood() {
    assert_eq!(line("    # Subtest: my_rng"), Some(Line::Subtest("my_rng")));
    assert_eq!(line("    ok 1 one"), Some(Line::Result(true, 1, "one")));
    assert_eq!(line("not ok 2 two"), Some(Line::Result(false, 0, "two")));
    assert_eq!(
        line("        ok 3 three # SKIP not here"),
        Some(Line::Skipped("three"))
    );
    assert_eq!(line("KTAP version 1"), None);
    assert_eq!(line("    # one: pass:1 fail:0"), None);
    assert_eq!(line("1..2"), None);
}
