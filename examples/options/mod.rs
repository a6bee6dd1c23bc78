//! The options of an example.

use std::process::exit;

use pico_args::{Arguments, Error};

/// What `parse` makes of the options. Asked for help, or given options that `parse` does not take, the
/// program prints its usage and ends.
pub(crate) fn options<T>(usage: &str, parse: impl FnOnce(&mut Arguments) -> Result<T, Error>) -> T {
    let mut arguments = Arguments::from_env();
    if arguments.contains(["-h", "--help"]) {
        println!("{usage}");
        exit(0);
    }
    let options = parse(&mut arguments);
    let rest = arguments.finish();
    let problem = match (options, rest.first()) {
        (Ok(options), None) => return options,
        (Ok(_), Some(other)) => format!("`{}` is no option here", other.to_string_lossy()),
        (Err(error), _) => error.to_string(),
    };
    eprintln!("error: {problem}\n\n{usage}");
    exit(2);
}

/// `--synthetic ROWS RATE`, to be asked for after all other options.
#[allow(dead_code, reason = "not every example has it")]
pub(crate) fn rows_and_rate(arguments: &mut Arguments) -> Result<Option<(usize, f64)>, Error> {
    let rows = arguments.opt_value_from_str("--synthetic")?;
    rows.map(|rows| Ok((rows, arguments.free_from_str()?))).transpose()
}
