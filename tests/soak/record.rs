//! What the programs say of themselves, in a file that no worker knows.

use std::fmt;
use std::fs;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

/// The variable that says which worker's which life a program is of.
pub(super) const LIFE: &str = "SOAK_LIFE";

/// What a program is to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Deed {
    Succeed,
    /// Whenever it is tried.
    Fail,
    /// At its first attempt.
    FailOnce,
}

impl Deed {
    /// Not too many fail: a class that does again and again is left alone for a while.
    pub(super) fn of(n: usize) -> Self {
        match n % 17 {
            3 => Self::Fail,
            10 => Self::FailOnce,
            _ => Self::Succeed,
        }
    }
}

impl fmt::Display for Deed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Succeed => "succeed",
            Self::Fail => "fail",
            Self::FailOnce => "fail-once",
        })
    }
}

/// A line of the record.
#[derive(Clone, Debug)]
pub(super) struct Line {
    pub(super) what: What,
    pub(super) run: String,
    pub(super) attempt: u32,
    pub(super) dispatch: u32,
    pub(super) life: String,
    /// In milliseconds.
    pub(super) at: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum What {
    Begin,
    /// Something of another program of the same run was alive when it began.
    Beside,
    Succeeded,
    Failed,
}

pub(super) fn prepare(outside: &Path) {
    fs::create_dir(outside.join("locks")).unwrap();
    fs::write(outside.join("record"), "").unwrap();
}

/// The program: a line is written at once, and the lock is open in all that it starts.
pub(super) fn script(outside: &Path) -> String {
    let outside = outside.display();
    format!(
        "note() {{ echo $1 $HILLOCK_RUN_ID $HILLOCK_ATTEMPT $HILLOCK_DISPATCH ${LIFE} \
         $(date +%s%3N) >> {outside}/record; }}\n\
         read -r deed span\n\
         exec 9> {outside}/locks/$HILLOCK_RUN_ID\n\
         flock -n 9 || note beside\n\
         note begin\n\
         echo \"turn $HILLOCK_ATTEMPT $HILLOCK_DISPATCH begins\"\n\
         sleep $span\n\
         echo \"turn $HILLOCK_ATTEMPT $HILLOCK_DISPATCH ends\"\n\
         case $deed$HILLOCK_ATTEMPT in fail?|fail-once1) note failed; exit 3;; esac\n\
         note succeeded"
    )
}

/// Every line, in the order they were written.
pub(super) fn read(outside: &Path) -> Vec<Line> {
    let text = fs::read_to_string(outside.join("record")).unwrap();
    text.lines().map(line).collect()
}

fn line(text: &str) -> Line {
    let [what, run, attempt, dispatch, life, at] = text.split(' ').collect::<Vec<_>>()[..] else {
        panic!("not a line of the record: {text:?}");
    };
    let what = match what {
        "begin" => What::Begin,
        "beside" => What::Beside,
        "succeeded" => What::Succeeded,
        "failed" => What::Failed,
        other => panic!("{other}"),
    };
    Line {
        what,
        run: run.to_owned(),
        attempt: attempt.parse().unwrap(),
        dispatch: dispatch.parse().unwrap(),
        life: life.to_owned(),
        at: at.parse().unwrap(),
    }
}

/// The present, by the clock that the programs have, in milliseconds.
#[expect(clippy::disallowed_methods, reason = "the programs' clock is the machine's")]
pub(super) fn moment() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    u64::try_from(since.as_millis()).unwrap()
}
