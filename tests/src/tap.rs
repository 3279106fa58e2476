// SPDX-License-Identifier: GPL-2.0-or-later

//! Results in TAP, as the programs of `guest/` print them, or in KTAP, as the kernel's KUnit does, where suites nest.

use crate::Finished;

/// A check that passed or was skipped.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Check<'a> {
    /// Its name.
    pub name: &'a str,
    /// In how many suites it is.
    pub depth: usize,
    /// Why it was skipped.
    pub skipped: Option<&'a str>,
}

/// A report that was begun, or a suite in it.
struct Suite {
    depth: usize,
    plan: Option<usize>,
    results: usize,
}

/// Reads what was printed; lines that are not TAP are ignored.
///
/// # Errors
///
/// Describes every check that failed, then everything that is missing or malformed.
pub fn parse<'a>(lines: impl IntoIterator<Item = &'a str>) -> Result<Vec<Check<'a>>, String> {
    let (mut checks, mut open) = (vec![], Vec::<Suite>::new());
    let (mut failed, mut malformed) = (vec![], vec![]);
    let mut begun = false;

    for line in lines {
        let text = line.trim_start_matches(' ');
        let depth = (line.len() - text.len()) / 4;
        if text.starts_with("TAP version ") || text.starts_with("KTAP version ") {
            begun = true;
            close(&mut open, depth, &mut malformed);
            open.push(Suite {
                depth,
                plan: None,
                results: 0,
            });
        } else if let Some(plan) = text.strip_prefix("1..").and_then(|plan| plan.parse().ok()) {
            match open.last_mut() {
                Some(suite) if suite.depth == depth && suite.plan.is_none() => {
                    suite.plan = Some(plan);
                }
                _ => malformed.push(format!("a plan that belongs to no report: {text}")),
            }
        } else if text.starts_with("Bail out!") {
            failed.push(text.to_owned());
        } else if let Some((passed, number, description)) = result(text) {
            close(&mut open, depth + 1, &mut malformed);
            match open.last_mut() {
                Some(suite) if suite.depth == depth => {
                    suite.results += 1;
                    if number != suite.results {
                        malformed.push(format!("number {} is due: {text}", suite.results));
                    }
                }
                _ => malformed.push(format!("a result that belongs to no report: {text}")),
            }
            let (name, directive) = description.split_once(" # ").unwrap_or((description, ""));
            if passed {
                checks.push(Check {
                    name,
                    depth,
                    skipped: directive.strip_prefix("SKIP").map(str::trim_start),
                });
            } else {
                failed.push(text.to_owned());
            }
        }
    }
    close(&mut open, 0, &mut malformed);
    if !begun {
        malformed.push("there is no TAP".to_owned());
    }
    failed.append(&mut malformed);
    if failed.is_empty() {
        Ok(checks)
    } else {
        Err(failed.join("\n"))
    }
}

/// The parts of a result: whether it passed, its number, and the rest.
fn result(text: &str) -> Option<(bool, usize, &str)> {
    let (passed, rest) = match text.strip_prefix("not ok ") {
        Some(rest) => (false, rest),
        None => (true, text.strip_prefix("ok ")?),
    };
    let (number, description) = rest.split_once(' ').unwrap_or((rest, ""));
    Some((passed, number.parse().ok()?, description))
}

/// Ends the suites from this depth on, each of which must be complete.
fn close(open: &mut Vec<Suite>, depth: usize, malformed: &mut Vec<String>) {
    let stay = open.iter().take_while(|suite| suite.depth < depth).count();
    for suite in open.drain(stay..) {
        match suite.plan {
            None => malformed.push(format!("no plan: cut off after {} results", suite.results)),
            Some(plan) if plan != suite.results => {
                malformed.push(format!("{} results, but {plan} are planned", suite.results));
            }
            Some(_) => {}
        }
    }
}

/// Like [`parse`], but a check that was skipped is an error, too.
///
/// # Errors
///
/// Describes all problems, the failed checks first.
pub fn all_passed<'a>(lines: impl IntoIterator<Item = &'a str>) -> Result<Vec<Check<'a>>, String> {
    let checks = parse(lines)?;
    match checks.iter().find(|check| check.skipped.is_some()) {
        Some(skipped) => Err(format!("skipped: {}", skipped.name)),
        None => Ok(checks),
    }
}

impl Finished {
    /// Ends the test, showing first which checks failed, unless the command printed TAP in which all passed.
    pub fn tap(self) -> Self {
        if let Err(problems) = all_passed(self.text().lines()) {
            panic!("{problems}\n{}", self.report());
        }
        self.success()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "TAP version 13\n# one\nok 1 one\n# two\nok 2 two # SKIP not here\n1..2\n";

    fn problems(text: &str) -> String {
        parse(text.lines()).expect_err("the report is bad")
    }

    #[test]
    fn checks_are_read() {
        let check = |name, skipped| Check {
            name,
            depth: 0,
            skipped,
        };
        let checks = [check("one", None), check("two", Some("not here"))];
        assert_eq!(parse(GOOD.lines()), Ok(checks.to_vec()));
        let plan_first = "TAP version 13\n1..1\nok 1 one\n";
        assert_eq!(parse(plan_first.lines()), Ok(vec![check("one", None)]));
    }

    #[test]
    fn nested_suites_are_read() {
        let text = "KTAP version 1\n1..0\nKTAP version 1\n1..2\n    KTAP version 1\n    # Subtest: a\n    1..1\n\
                    \x20   ok 1 one\n# a: pass:1\nok 1 a\n    KTAP version 1\n    1..1\n    ok 1 two\nok 2 b\n";
        let checks = parse(text.lines()).expect("a good report");
        let checks: Vec<_> = checks
            .iter()
            .map(|check| (check.depth, check.name))
            .collect();
        assert_eq!(checks, [(1, "one"), (0, "a"), (1, "two"), (0, "b")]);
    }

    #[test]
    fn failed_checks_come_first() {
        let text = "TAP version 13\nok 1 one\nnot ok 3 two # a.c:1: x is 1, not 2\nBail out! y\n";
        assert_eq!(
            problems(text),
            "not ok 3 two # a.c:1: x is 1, not 2\nBail out! y\n\
             number 2 is due: not ok 3 two # a.c:1: x is 1, not 2\nno plan: cut off after 2 results"
        );
    }

    #[test]
    fn a_report_that_is_not_complete_is_refused() {
        for (text, problem) in [
            ("", "there is no TAP"),
            (
                "ok 1 one\n1..1\n",
                "a result that belongs to no report: ok 1 one",
            ),
            (
                "TAP version 13\nok 1 one\n",
                "no plan: cut off after 1 results",
            ),
            (
                "TAP version 13\n1..2\nok 1 one\n",
                "1 results, but 2 are planned",
            ),
            (
                "TAP version 13\nok 1 one\nok 1 one\n1..2\n",
                "number 2 is due: ok 1 one",
            ),
            (
                "TAP version 13\n1..1\nok 1 one\n1..1\n",
                "a plan that belongs to no report: 1..1",
            ),
            (
                "KTAP version 1\n1..1\n    KTAP version 1\n    1..2\n    ok 1 a\nok 1 b\n",
                "1 results, but 2 are planned",
            ),
        ] {
            assert!(
                problems(text).contains(problem),
                "{text}: {}",
                problems(text)
            );
        }
    }
}
