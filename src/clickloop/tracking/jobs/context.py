"""The dependencies of the functions that start and show jobs."""

import dataclasses

from clickloop.record_id import RecordIds
from clickloop.store.export_files import ExportFiles
from clickloop.store.ledger.logs.audit_entry import ActorContext
from clickloop.store.upload_files import UploadFiles


@dataclasses.dataclass(frozen=True, kw_only=True)
class JobContext(ActorContext):
    """The ledger and the files of jobs, and on whose behalf they are used."""

    uploads: UploadFiles
    exports: ExportFiles
    record_ids: RecordIds = dataclasses.field(default_factory=RecordIds)
    upload_keep_hours: int = 72
    """Hours for which an upload's file and result, and an export's file, are kept after the job has ended."""
