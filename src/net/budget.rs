//! What this process may open: descriptors and ports.

use std::io;

/// Limits of this process and machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    /// Soft limit of open files; `u64::MAX` when there is none or it cannot be told.
    pub descriptors_max: u64,
    /// Open files now (`/proc/self/fd`); `None` where that cannot be told.
    pub descriptors_open: Option<u64>,
    /// Ports the system hands out for outgoing connections to one address and port; `None` where
    /// that cannot be told.
    pub ports: Option<u64>,
    /// Memory that new programs can have without swapping, in bytes (`MemAvailable`); `None` where
    /// that cannot be told.
    pub memory: Option<u64>,
}

impl Budget {
    /// Reads the limits, after raising the soft limit of open files to the hard one.
    #[must_use]
    pub fn read() -> Self {
        let ports = std::fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range");
        Self {
            descriptors_max: raise_descriptor_limit(),
            descriptors_open: descriptors_open(),
            ports: ports.ok().and_then(|text| parse_port_range(&text)),
            memory: std::fs::read_to_string("/proc/meminfo")
                .ok()
                .and_then(|text| parse_kib(&text, "MemAvailable")),
        }
    }
}

/// Open files of this process now; `None` where that cannot be told.
#[must_use]
pub fn descriptors_open() -> Option<u64> {
    let count = std::fs::read_dir("/proc/self/fd").ok()?.count() as u64;
    // The folder itself was open while it was read.
    Some(count.saturating_sub(1))
}

/// Resident memory of this process in bytes; `None` where that cannot be told.
#[must_use]
pub fn resident_bytes() -> Option<u64> {
    parse_resident_pages(&std::fs::read_to_string("/proc/self/statm").ok()?)?
        .checked_mul(page_bytes()?)
}

/// Most resident memory that this process has had so far, in bytes; `None` where that cannot be
/// told.
#[must_use]
pub fn peak_resident_bytes() -> Option<u64> {
    parse_kib(&std::fs::read_to_string("/proc/self/status").ok()?, "VmHWM")
}

/// Model of the processor, as the system names it; `None` where that cannot be told.
#[must_use]
pub fn processor() -> Option<String> {
    parse_processor(&std::fs::read_to_string("/proc/cpuinfo").ok()?)
}

/// Whether an error says that the process or the system has no descriptor left (`EMFILE`,
/// `ENFILE`).
#[must_use]
pub fn is_out_of_descriptors(error: &io::Error) -> bool {
    #[cfg(unix)]
    return matches!(
        rustix::io::Errno::from_io_error(error),
        Some(rustix::io::Errno::MFILE | rustix::io::Errno::NFILE)
    );
    #[cfg(not(unix))]
    return {
        let _ = error;
        false
    };
}

/// The soft limit of open files after raising it as far as it goes.
#[cfg(unix)]
fn raise_descriptor_limit() -> u64 {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    let in_force = match setrlimit(Resource::Nofile, raised) {
        Ok(()) => raised,
        // Some systems forbid the hard limit they state; then what was in force stays.
        Err(_) => limit,
    };
    in_force.current.unwrap_or(u64::MAX)
}

#[cfg(not(unix))]
fn raise_descriptor_limit() -> u64 {
    u64::MAX
}

#[cfg(unix)]
fn page_bytes() -> Option<u64> {
    u64::try_from(rustix::param::page_size()).ok()
}

#[cfg(not(unix))]
fn page_bytes() -> Option<u64> {
    None
}

/// Count of ports in `1024\t65535`, both ends included.
fn parse_port_range(text: &str) -> Option<u64> {
    let mut ends = text.split_whitespace().map(str::parse::<u64>);
    let (low, high) = (ends.next()?.ok()?, ends.next()?.ok()?);
    high.checked_sub(low).map(|ports| ports + 1)
}

/// The value of a line such as `VmHWM:   2048 kB` of a file below `/proc`, in bytes. (The files say
/// kB and mean KiB.)
fn parse_kib(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
    line.trim().strip_suffix("kB")?.trim_end().parse::<u64>().ok()?.checked_mul(1_024)
}

/// `model name` of the first processor; on ARM, which has none, implementer and part.
fn parse_processor(text: &str) -> Option<String> {
    let field = |name: &str| {
        let mut fields = text.lines().filter_map(|line| line.split_once(':'));
        let (_, value) = fields.find(|(key, _)| key.trim_end() == name)?;
        Some(value.split_whitespace().collect::<Vec<_>>().join(" "))
    };
    let arm = || Some(format!("{} {}", field("CPU implementer")?, field("CPU part")?));
    field("model name").or_else(arm).filter(|name| !name.is_empty())
}

/// Second field of `/proc/self/statm`.
fn parse_resident_pages(text: &str) -> Option<u64> {
    text.split_whitespace().nth(1)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_the_kernel_are_read_as_documented() {
        assert_eq!(parse_port_range("1024\t65535\n"), Some(64_512));
        assert_eq!(parse_port_range("32768 60999"), Some(28_232));
        assert_eq!(parse_port_range("9 8"), None);
        assert_eq!(parse_port_range("many"), None);
        assert_eq!(parse_resident_pages("5120 800 700 10 0 90 0\n"), Some(800));
        assert_eq!(parse_resident_pages(""), None);
        let status = "Name:\tsquall\nVmPeak:\t  9000 kB\nVmHWM:\t    2048 kB\nVmRSS:\t  1024 kB\n";
        assert_eq!(parse_kib(status, "VmHWM"), Some(2 << 20));
        assert_eq!(parse_kib("VmRSS:\t  1024 kB\n", "VmHWM"), None);
        let meminfo = "MemTotal:       8 kB\nMemAvailable:       6 kB\nCached: 1 kB\n";
        assert_eq!(parse_kib(meminfo, "MemAvailable"), Some(6_144));
        assert_eq!(parse_kib("MemTotal: 8 kB\n", "MemAvailable"), None);
        let intel = "processor\t: 0\nmodel\t: 7\nmodel name\t: A  Maker's  CPU @ 2 GHz\n";
        assert_eq!(parse_processor(intel).as_deref(), Some("A Maker's CPU @ 2 GHz"));
        let arm = "processor\t: 0\nCPU implementer\t: 0x41\nCPU part\t: 0xd0c\n";
        assert_eq!(parse_processor(arm).as_deref(), Some("0x41 0xd0c"));
        assert_eq!(parse_processor("processor\t: 0\n"), None);
    }

    #[test]
    fn the_soft_limit_is_the_hard_one_afterwards() {
        let budget = Budget::read();
        let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
        assert_eq!(limit.current, limit.maximum);
        assert_eq!(budget.descriptors_max, limit.maximum.unwrap_or(u64::MAX));
        assert_eq!(Budget::read().descriptors_max, budget.descriptors_max);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn this_process_has_descriptors_ports_and_memory() {
        // At least standard input, output and error; other tests open files at the same time.
        assert!(descriptors_open().unwrap() >= 3);
        assert!(Budget::read().ports.unwrap() > 0);
        assert!(peak_resident_bytes().unwrap() >= 1 << 20);
        let resident = resident_bytes().unwrap();
        assert!((1 << 20..1 << 40).contains(&resident), "{resident} bytes");
    }

    #[test]
    fn only_emfile_and_enfile_are_exhaustion() {
        for (errno, exhausted) in [(24, true), (23, true), (111, false), (105, false)] {
            assert_eq!(is_out_of_descriptors(&io::Error::from_raw_os_error(errno)), exhausted);
        }
        assert!(!is_out_of_descriptors(&io::Error::other("no errno")));
    }
}
