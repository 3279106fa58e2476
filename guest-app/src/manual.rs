// SPDX-License-Identifier: GPL-2.0-or-later

//! The manual page and the shell completions, generated from the command line's definitions.

use std::io::{self, Write};

use clap::{Command, CommandFactory};
use clap_complete::Shell;
use clap_mangen::Man;
use clap_mangen::roff::{Roff, bold, roman};

use crate::cli::Cli;

pub fn completions(output: &mut impl Write, shell: Shell) -> io::Result<()> {
    let mut command = Cli::command();
    let name = command.get_name().to_owned();
    // Generate into memory: clap_complete panics if writing fails.
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut command, &name, &mut script);
    let mut script = String::from_utf8(script).map_err(io::Error::other)?;
    if shell == Shell::Bash {
        // If the program's name has a hyphen, clap_complete uses two names for one command and completes nothing
        // after a subcommand (clap-rs/clap#6421).
        script = script.replace(&name.replace('-', "__subcmd__"), &name.replace('-', "__"));
    }
    output.write_all(script.as_bytes())
}

/// Prints the manual page, one for all commands.
pub fn page(output: &mut impl Write) -> io::Result<()> {
    let mut command = Cli::command();
    command.build();
    let man = Man::new(command.clone()).manual("User Commands");
    let mut page = Vec::new();
    man.render_title(&mut page)?;
    let preamble = page.clone();
    man.render_name_section(&mut page)?;
    man.render_synopsis_section(&mut page)?;
    man.render_description_section(&mut page)?;
    man.render_options_section(&mut page)?;
    request(&mut page, "SH", &["COMMANDS"])?;
    for command in command.get_subcommands() {
        subcommand(&mut page, command)?;
    }
    help(&mut page, &command, "SH")?;
    // Every section repeats the preamble.
    let definition = |line: &[u8]| line.starts_with(b".ie ") || line.starts_with(b".el ");
    // clap_mangen leaves the date empty without quotes, so the next argument would be taken for the date.
    let preamble = String::from_utf8(preamble).map_err(io::Error::other)?;
    let (name, section) = (command.get_name(), "1");
    output.write_all(
        preamble
            .replace(
                &format!(".TH {name} {section}  "),
                &format!(".TH {name} {section} \"\" "),
            )
            .as_bytes(),
    )?;
    for line in page.split_inclusive(|byte| *byte == b'\n') {
        if !definition(line) && !line.starts_with(b".TH ") {
            output.write_all(line)?;
        }
    }
    Ok(())
}

fn request(page: &mut Vec<u8>, name: &str, arguments: &[&str]) -> io::Result<()> {
    let mut roff = Roff::new();
    roff.control(name, arguments.iter().copied());
    roff.to_writer(page)
}

fn subcommand(page: &mut Vec<u8>, command: &Command) -> io::Result<()> {
    request(page, "SS", &[command.get_name()])?;
    // The options of all commands are in the page's section OPTIONS.
    let man = Man::new(command.clone().mut_args(|argument| {
        let everywhere = argument.is_global_set() || argument.get_id() == "help";
        argument.hide(everywhere)
    }));
    without_heading(page, |part| man.render_synopsis_section(part))?;
    request(page, "PP", &[])?;
    without_heading(page, |part| man.render_description_section(part))?;
    without_heading(page, |part| man.render_options_section(part))?;
    help(page, command, "PP")
}

/// Appends a rendered section without its heading.
fn without_heading(
    page: &mut Vec<u8>,
    render: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> io::Result<()> {
    let mut section = Vec::new();
    render(&mut section)?;
    for line in section.split_inclusive(|byte| *byte == b'\n') {
        if !line.starts_with(b".SH") {
            page.write_all(line)?;
        }
    }
    Ok(())
}

/// Appends the text after a help: lines that end in a colon become headings, indented lines are printed as they are,
/// the others become paragraphs.
fn help(page: &mut Vec<u8>, command: &Command, level: &str) -> io::Result<()> {
    let Some(help) = command.get_after_help() else {
        return Ok(());
    };
    // A section indents its text already; elsewhere RS and RE do.
    let around = |table| match (level, table) {
        ("SH", true) => &["nf"][..],
        ("SH", false) => &["fi"],
        (_, true) => &["RS", "nf"],
        (_, false) => &["fi", "RE"],
    };
    let mut roff = Roff::new();
    let (mut table, mut paragraph) = (false, true);
    for line in help.to_string().lines() {
        let indented = line.strip_prefix("  ");
        if indented.is_some() != table {
            table = indented.is_some();
            for request in around(table) {
                roff.control(*request, []);
            }
        }
        match (indented, line.strip_suffix(':')) {
            (Some(line), _) => {
                roff.text([roman(line)]);
            }
            (None, Some(title)) if level == "SH" => {
                roff.control("SH", [title.to_uppercase().as_str()]);
            }
            (None, Some(title)) => {
                roff.control("PP", []);
                roff.text([bold(title)]);
            }
            (None, None) if line.is_empty() => paragraph = true,
            (None, None) => {
                if std::mem::take(&mut paragraph) {
                    roff.control("PP", []);
                }
                roff.text([roman(line)]);
            }
        }
    }
    if table {
        for request in around(false) {
            roff.control(*request, []);
        }
    }
    roff.to_writer(page)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::ValueEnum;

    /// The names of all commands, and of all options with their dashes.
    fn words() -> Vec<String> {
        let mut command = Cli::command();
        command.build();
        let options = |command: &Command| {
            let options = command
                .get_arguments()
                .filter_map(|argument| argument.get_long());
            options.map(|name| format!("--{name}")).collect::<Vec<_>>()
        };
        let mut words = options(&command);
        for subcommand in command.get_subcommands() {
            words.push(subcommand.get_name().to_owned());
            words.extend(options(subcommand));
        }
        assert!(words.len() > 10, "{words:?}");
        words
    }

    fn text(bytes: Vec<u8>) -> String {
        String::from_utf8(bytes).expect("text")
    }

    #[test]
    fn manual_page_has_every_command_and_option() {
        let mut page = Vec::new();
        super::page(&mut page).expect("writing to memory");
        let page = text(page);
        // How a viewer shows other characters depends on its locale.
        assert!(page.is_ascii(), "{page}");
        let source = page.replace("\\-", "-");
        let title = concat!(
            ".TH my-rng 1 \"\" \"my-rng ",
            env!("CARGO_PKG_VERSION"),
            "\" \"User Commands\"\n"
        );
        assert_eq!(page.matches(title).count(), 1, "{page}");
        assert_eq!(page.matches(".TH").count(), 1, "{page}");
        for word in words() {
            assert!(source.contains(&word), "no {word} in:\n{page}");
        }
        for section in [
            "NAME",
            "SYNOPSIS",
            "DESCRIPTION",
            "OPTIONS",
            "COMMANDS",
            "EXAMPLES",
        ] {
            let heading = format!(".SH {section}\n");
            assert_eq!(page.matches(&heading).count(), 1, "{section} in:\n{page}");
        }
        assert!(page.contains(".SH \"EXIT STATUS\"\n"), "{page}");
        for command in ["seed", "read", "info", "list", "completions", "man"] {
            assert!(page.contains(&format!(".SS {command}\n")), "{page}");
        }
        for (opens, closes) in [(".nf\n", ".fi\n"), (".RS", ".RE\n")] {
            assert_eq!(page.matches(opens).count(), page.matches(closes).count());
        }
        // Indented in the help.
        assert!(source.contains("\n141  the reader of the output"), "{page}");
    }

    #[test]
    fn completions_have_every_command_and_option() {
        for shell in Shell::value_variants() {
            let mut script = Vec::new();
            completions(&mut script, *shell).expect("writing to memory");
            let script = text(script);
            for word in words() {
                // Some shells' scripts have option names without dashes.
                let word = word.trim_start_matches('-');
                assert!(script.contains(word), "no {word} in {shell}'s");
            }
        }
    }
}
