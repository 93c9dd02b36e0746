//! Plot units one after the other while there are any.

use super::{Plotter, writer};
use crate::idle::{books::Job, status::Meter};
use memmap2::{Advice, MmapMut};
use proofs::idle::{self, PlotError, UnitHashes};
use std::{
    io,
    sync::mpsc::{channel, sync_channel},
    thread,
};

/// Units in memory: one is written while the next is made.
const BUFFERS: usize = 2;

/// A plotted unit on its way to the disk.
pub(super) struct Filled {
    pub(super) job: Job,
    pub(super) content: MmapMut,
    pub(super) hashes: UnitHashes,
}

/// Plots until there is nothing to plot, no room, or no time. An error if there is not enough memory.
pub(super) fn run(plotter: &Plotter) -> io::Result<()> {
    let layout = plotter.shared.layout;
    let unit_bytes = layout.shape().bytes();
    let spare = Box::new(memory(unit_bytes)?);
    let mut maker = idle::Plotter::with_spare(layout.shape(), plotter.shared.graph(), spare);
    let (give_back, buffers) = channel();
    for _ in 0..BUFFERS {
        // The other end is here.
        drop(give_back.send(memory(unit_bytes)?));
    }
    let (to_disk, filled) = sync_channel(BUFFERS);
    let mut meter = Meter::new(plotter.now());
    thread::scope(|scope| {
        thread::Builder::new().name("idle-write".into()).spawn_scoped(scope, || {
            writer::run(plotter, filled, give_back);
        })?;
        // No more buffers come when the writer has given up.
        while let Ok(mut content) = buffers.recv() {
            let Some(job) = plotter.take() else { break };
            let Ok(hashes) = plotter.pool.install(|| fill(plotter, &mut maker, &job, &mut content)) else {
                plotter.shared.update(|books| books.put_back(job.place));
                break;
            };
            let rate = meter.add(plotter.now(), unit_bytes as u64);
            plotter.shared.status.send_modify(|status| status.bytes_per_second = rate);
            if let Err(unsent) = to_disk.send(Filled { job, content, hashes }) {
                plotter.shared.update(|books| books.put_back(unsent.0.job.place));
                break;
            }
        }
        drop(to_disk);
        Ok(())
    })
}

fn fill(
    plotter: &Plotter,
    maker: &mut idle::Plotter,
    job: &Job,
    content: &mut MmapMut,
) -> Result<UnitHashes, PlotError> {
    let layout = plotter.shared.layout;
    maker.fill(&layout.unit_id(job.place, job.beacon), content, &plotter.progress)?;
    Ok(UnitHashes::new(content, layout.unit_slots() as usize).expect("the layout has units of whole slots"))
}

/// Memory that begins at a page, as direct writes need it, in huge pages where there are any: a layer of a large unit is
/// read all over.
fn memory(bytes: usize) -> io::Result<MmapMut> {
    let memory = MmapMut::map_anon(bytes)?;
    if let Err(error) = memory.advise(Advice::HugePage) {
        tracing::debug!(%error, "plotting has no huge pages");
    }
    Ok(memory)
}
