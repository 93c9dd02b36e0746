mod building;
mod calls;
mod fixture;
mod misses;
mod modules;
mod opening;
mod rules;
