// SPDX-License-Identifier: GPL-2.0-or-later

//! A patch as git writes it, which git and `patch -p1` apply.

/// How many unchanged lines are around a change.
const CONTEXT: usize = 3;

/// A patch, growing.
pub struct Patch(Vec<u8>);

impl Patch {
    /// A patch that so far has only an introduction.
    pub fn new(introduction: &str) -> Self {
        Self(format!("{introduction}\n").into_bytes())
    }

    /// Adds a new file.
    pub fn create(&mut self, path: &str, text: &[u8], executable: bool) {
        let mode = if executable { "100755" } else { "100644" };
        self.line(&format!("diff --git a/{path} b/{path}"));
        self.line(&format!("new file mode {mode}"));
        if text.is_empty() {
            return;
        }
        self.line("--- /dev/null");
        self.line(&format!("+++ b/{path}"));
        let lines = lines(text);
        self.line(&format!("@@ -0,0 +1,{} @@", lines.len()));
        self.lines(b'+', &lines);
    }

    /// Adds lines to a file, between what is `before` and what is `after`.
    pub fn insert(&mut self, path: &str, before: &[u8], inserted: &[u8], after: &[u8]) {
        let (before, inserted, after) = (lines(before), lines(inserted), lines(after));
        let skipped = before.len().saturating_sub(CONTEXT);
        let leading = before.get(skipped..).unwrap_or_default();
        let trailing = after.get(..after.len().min(CONTEXT)).unwrap_or_default();
        let context = leading.len() + trailing.len();
        // With no line at all, a range begins before the first.
        let old = skipped + usize::from(context > 0);
        self.line(&format!("diff --git a/{path} b/{path}"));
        self.line(&format!("--- a/{path}"));
        self.line(&format!("+++ b/{path}"));
        self.line(&format!(
            "@@ -{old},{context} +{},{} @@",
            skipped + 1,
            context + inserted.len()
        ));
        self.lines(b' ', leading);
        self.lines(b'+', &inserted);
        self.lines(b' ', trailing);
    }

    /// The patch.
    pub fn into_bytes(self) -> Vec<u8> {
        self.0
    }

    fn line(&mut self, line: &str) {
        self.0.extend_from_slice(line.as_bytes());
        self.0.push(b'\n');
    }

    fn lines(&mut self, kind: u8, lines: &[&[u8]]) {
        for line in lines {
            self.0.push(kind);
            self.0.extend_from_slice(line);
            if !line.ends_with(b"\n") {
                self.0
                    .extend_from_slice(b"\n\\ No newline at end of file\n");
            }
        }
    }
}

fn lines(text: &[u8]) -> Vec<&[u8]> {
    text.split_inclusive(|byte| *byte == b'\n').collect()
}
