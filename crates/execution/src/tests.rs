mod building;
mod calls;
mod fixture;
mod lane;
mod misses;
mod modules;
mod opening;
mod rules;
