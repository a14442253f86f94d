"""A guest whose node is dead: one file of cluster and settings for each node, and ``zsr`` as typed on either."""

from __future__ import annotations

from tests.support.command_line import Said, Zsr
from tests.support.pools import Pools
from tests.support.verbs_env import NAME, VerbsEnv

RUN = ("run", "--id", "100-0")
RECOVER = ("guest", "recover", "100", "--force", "--yes")


class Recovered(VerbsEnv):
    """The guest of alpha, with one file of cluster and settings for each node; ``zsr`` is typed on beta at first."""

    def __init__(self, pools: Pools, zsr: Zsr) -> None:
        super().__init__(pools, zsr)
        self.zsr.well(*RUN)
        self._files = {"alpha": (zsr.settings_path.read_text(), zsr.cluster_path.read_text())}
        self._node = "alpha"
        dead = '[nodes.alpha]\naddress = "127.0.0.1"\nport = 1'
        cluster = zsr.cluster_path.read_text().replace('[nodes.alpha]\naddress = "local"', dead)
        settings = zsr.settings_path.read_text().replace('node = "alpha"', 'node = "beta"').replace("/state", "/beta")
        self._files["beta"] = (settings, cluster)

    def on(self, node: str) -> Zsr:
        """Return ``zsr`` as typed on a node."""
        self._files[self._node] = (self.zsr.settings_path.read_text(), self.zsr.cluster_path.read_text())
        settings, cluster = self._files[node]
        self.zsr.settings_path.write_text(settings)
        self.zsr.cluster_path.write_text(cluster)
        self._node = node
        return self.zsr

    def recover(self, *more: str) -> Said:
        """Recover on beta."""
        return self.on("beta")(*RECOVER, *more)

    def revive(self) -> None:
        """Let alpha answer again."""
        zsr = self.on("beta")
        text = zsr.cluster_path.read_text().replace('address = "127.0.0.1"\nport = 1', 'address = "local"')
        zsr.cluster_path.write_text(text)

    def everything(self) -> str:
        """All that is on beta."""
        keys = "guid,readonly,zsr:owner,zsr:epoch,zsr:activating"
        return self.zfs("get", "-Hp", "-r", "-o", "name,property,value", keys, self.target)

    @property
    def there(self) -> str:
        """The replica."""
        return f"{self.target}/{NAME}"
