-- What stood before a removal, for when it is lifted: the listing of a template, or the status of a version with its reason.
alter table removals add column former text collate "C", add column former_reason text;
