"""Who may call what. Every call of the contract is in the table; a test holds that."""

from __future__ import annotations

from ..domain.principal import Role

OPEN = (
    "grpc.health.v1.Health",
    "grpc.reflection.v1alpha.ServerReflection",
    "grpc.reflection.v1.ServerReflection",
)

_ROLES = {
    Role.VIEWER: """
        CatalogService/GetCatalog CatalogService/ListCatalogs
        ItemService/ListItems ItemService/GetItem ItemService/WatchItems ItemService/ListHistory
        SyncService/GetSyncStatus SyncService/WatchSyncStatus SyncService/ListRuns SyncService/ListFailures
        SyncService/PreviewWrite SyncService/SummarizeWrite
        LibraryService/GetCapabilities LibraryService/ExportTags
        JobService/GetJob JobService/ListJobs JobService/WatchJob
        RemoteService/GetRemote RemoteService/ListRemotes RemoteService/ListBatches RemoteService/ListRemoteFiles
        RemoteService/ListReviews RemoteService/ListReleases RemoteService/GetThumbnail RemoteService/PreviewSend
        AdminService/GetServerInfo AdminService/ListWriters
    """,
    Role.EDITOR: """
        ItemService/EditTags ItemService/RemoveItems
        SyncService/HoldItems SyncService/ReleaseItems SyncService/ResolveConflicts
        LibraryService/ImportTags RemoteService/EditRemoteFiles
    """,
    Role.OPERATOR: """
        ItemService/UndoWrite
        SyncService/SetAutoSync SyncService/StartSync SyncService/PauseSync SyncService/CancelRun SyncService/UndoRun
        SyncService/RetryFailures
        LibraryService/StartImport LibraryService/StartRescan LibraryService/StartVerify
        JobService/CancelJob
        RemoteService/StartPull RemoteService/TestRemote
    """,
    Role.ADMIN: """
        CatalogService/CreateCatalog CatalogService/UpdateCatalog CatalogService/DeleteCatalog
        RemoteService/CreateRemote RemoteService/UpdateRemote RemoteService/DeleteRemote
        AdminService/CreateToken AdminService/ListTokens AdminService/RevokeToken
        AdminService/ListAuditEvents AdminService/CreateBackup
    """,
}

REQUIRED: dict[str, Role] = {f"/indelible.v1.{call}": role for role, calls in _ROLES.items() for call in calls.split()}


def required_role(method: str) -> Role | None:
    """The role that a call needs; None for the calls that are open to everyone. Unknown services need an admin."""
    if method.lstrip("/").split("/")[0] in OPEN:
        return None
    return REQUIRED.get(method, Role.ADMIN)
