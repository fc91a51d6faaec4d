"""Architecture search that leaves a small trained network behind.

The folders, each of which imports only from those above it:

- ``storage``: what lies on disk, whole files, safe checkpoints, the run's folder and its records;
- ``launchers``: many jobs at once, each in a process of its own;
- ``distributed``: several processes that train as one;
- ``space``: what may be chosen, and what was chosen, in ``cells`` the first kind of space,
  in ``layers`` the second, in ``own`` the third;
- ``data``: splits and batches on the training device, in ``images``, ``sounds`` and ``signals``
  what differs between these, in ``own`` data modules of users;
- ``training``: what a search and a retraining share;
- ``networks``: the supernet and the discrete net, in ``cells`` those of cells, in ``folded`` their
  fast executor, in ``layers`` those of layers, in ``own`` those of networks of users;
- ``derivation``: from shares to an architecture, by costs, rules, budgets and consensus;
- ``search``: the bilevel search, in ``exploration`` searches without gradients, in ``playoff`` the
  search by real trainings, in ``callbacks`` safeguards and selection;
- ``retraining``: trains and tests the discrete net;
- ``plots``: drawings of architectures, runs and predictions;
- ``export``: the net for other programs;
- ``runs``: one run of ``fit``, in ``callbacks`` what it records;
- ``planning``: what a run will take, measured before it starts;
- ``reports``: one page about a run, from its files;
- ``cli``: the command line, in ``front`` what answers before torch is imported,
  in ``verbs`` a module for each verb.

The public names stand in `__init__.pyi`, with their modules. Each is imported when it is first
asked for, so that what needs no torch, as ``--help``, does not wait for it.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
