//! The directory of a run: every user, what the methods policy allows them, and the tokens of the tenant.
//!
//! Users are paged once and matched in the ledger; nobody is looked up singly. A crash resumes at the page after the
//! last one on file; the rest is small and read again.

use crate::{Coordinator, Error};
use contract::{Allowed, DirectoryEntry, Match, RunKind, RunState, context, serial_fingerprint};
use graph::{DirectoryUser, Grant, GrantTo, Reader};
use ledger::{DirectoryRow, InventoryRow, MatchCounts, Run};
use telemetry::crash_point;

impl Coordinator {
    /// Reads the directory and freezes the run's entries; `on_page` is told the users read so far. A run that is past
    /// this is left as it is.
    ///
    /// # Errors
    /// Graph or the ledger failed; calling it again goes on.
    pub async fn prepare(
        &self,
        run: &Run,
        policy: &contract::Policy,
        reader: &Reader,
        mut on_page: impl FnMut(u64) + Send,
    ) -> Result<Option<MatchCounts>, Error> {
        if run.state != RunState::Preparing {
            return Ok(None);
        }
        match run.spec.kind {
            RunKind::Migrate | RunKind::Rehearse | RunKind::Survey => {}
            // What they are about is on file: nobody is matched anew.
            RunKind::Verify | RunKind::Rollback => return self.freeze_touched(run, reader).await.map(Some),
            // These are prepared on terms of their own.
            RunKind::Rollout | RunKind::RolloutRemove | RunKind::RolloutPlan => return Ok(None),
        }
        let read = |what| move |source| Error::Graph { what, source };
        let grants = reader.methods_policy().await.map_err(read("the authentication methods policy"))?.grants;
        self.read_inventory(run, reader).await?;

        let everyone = grants
            .iter()
            .filter(|g| matches!(g.to, GrantTo::Everyone))
            .fold(Allowed(0), |all, grant| all.with(grant.bits));
        let mut cursor = self.ledger.directory_cursor(run.id).await?;
        let mut begun_again = false;
        while !cursor.complete {
            let page = match reader.users_page(cursor.next.as_deref()).await {
                // A link of an earlier process may have run out: begin again, rows on file are simply replaced.
                Err(graph::Error::Refused { .. }) if cursor.next.is_some() && !begun_again => {
                    begun_again = true;
                    cursor.next = None;
                    continue;
                }
                other => other.map_err(read("the directory's users"))?,
            };
            let rows = page
                .items
                .iter()
                .map(|user| self.directory_row(user, everyone))
                .collect::<Result<Vec<_>, _>>()?;
            self.ledger.file_directory_page(run.id, &rows, page.next.as_deref()).await?;
            crash_point("directory.page-filed");
            cursor = self.ledger.directory_cursor(run.id).await?;
            self.checkpoint(run.id, "directory", cursor.pages).await?;
            on_page(cursor.users);
        }
        self.apply_groups(run, reader, &grants).await?;

        crash_point("match.before");
        let counts = self.ledger.match_users(run.id, &policy.match_stages, policy.include_disabled).await?;
        self.checkpoint(run.id, "match", 1).await?;
        crash_point("match.after");
        Ok(Some(counts))
    }

    /// The users of a verification or a rollback: those of whom something of ours is on file.
    async fn freeze_touched(&self, run: &Run, reader: &Reader) -> Result<MatchCounts, Error> {
        if run.spec.kind == RunKind::Rollback {
            self.read_inventory(run, reader).await?;
        }
        crash_point("touched.before");
        let counts = self.ledger.freeze_touched(run.id).await?;
        self.checkpoint(run.id, "match", 1).await?;
        crash_point("touched.after");
        Ok(counts)
    }

    /// The tenant's tokens, paged once a run.
    async fn read_inventory(&self, run: &Run, reader: &Reader) -> Result<(), Error> {
        let mut next: Option<String> = None;
        loop {
            let page = match reader.inventory_page(next.as_deref()).await {
                Ok(page) => page,
                // Hardware tokens are a preview that some clouds and licences lack: then there is no inventory.
                Err(graph::Error::NotFound) => return Ok(()),
                Err(source) => return Err(Error::Graph { what: "the inventory of hardware tokens", source }),
            };
            let rows: Vec<InventoryRow> = page
                .items
                .into_iter()
                .map(|token| InventoryRow { serial: serial_fingerprint(&token.serial, &self.keys), token })
                .collect();
            if !rows.is_empty() {
                self.ledger.file_inventory(run.id, &rows).await?;
            }
            match page.next {
                Some(link) => next = Some(link),
                None => return Ok(()),
            }
        }
    }

    /// Methods that the policy gives to groups are allowed for their members; excluded groups lose theirs.
    async fn apply_groups(&self, run: &Run, reader: &Reader, grants: &[Grant]) -> Result<(), Error> {
        for grant in grants {
            if let GrantTo::Groups(groups) = &grant.to {
                for group in groups {
                    self.change_members(run, reader, group, grant.bits, Allowed(0)).await?;
                }
            }
        }
        for grant in grants {
            for group in &grant.except_groups {
                self.change_members(run, reader, group, Allowed(0), grant.bits).await?;
            }
        }
        Ok(())
    }

    async fn change_members(
        &self,
        run: &Run,
        reader: &Reader,
        group: &str,
        set: Allowed,
        clear: Allowed,
    ) -> Result<(), Error> {
        let mut next: Option<String> = None;
        loop {
            let page = match reader.group_members_page(group, next.as_deref()).await {
                Ok(page) => page,
                // A policy may name a group that was deleted since: it has no members.
                Err(graph::Error::NotFound) => return Ok(()),
                Err(source) => {
                    return Err(Error::Graph {
                        what: "the members of a group of the methods policy",
                        source,
                    });
                }
            };
            self.ledger.change_allowed(run.id, &page.items, set, clear).await?;
            match page.next {
                Some(link) => next = Some(link),
                None => return Ok(()),
            }
        }
    }

    fn directory_row(&self, user: &DirectoryUser, allowed: Allowed) -> Result<DirectoryRow, Error> {
        let keys = Match::ALL.map(|stage| {
            let value = match stage {
                Match::Upn => Some(user.upn.as_str()),
                Match::Sid => user.sid.as_deref(),
                Match::SamAccountName => user.sam_account_name.as_deref(),
                Match::Mail => user.mail.as_deref(),
                Match::EmployeeId => user.employee_id.as_deref(),
                Match::ImmutableId => user.immutable_id.as_deref(),
            };
            value.and_then(rules::directory_key).map(|key| self.keys.of(stage.as_str(), key.as_bytes()))
        });
        let entry = DirectoryEntry {
            v: 1,
            upn: user.upn.clone(),
            department: user.department.clone(),
            region: user.usage_location.clone().or_else(|| user.country.clone()),
        };
        Ok(DirectoryRow {
            sealed: self.sealer.seal_json(&context::directory(&user.id), &entry)?,
            user: user.id.clone(),
            keys,
            guest: user.guest,
            allowed,
        })
    }
}
