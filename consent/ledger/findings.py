"""
What a verification can find, each with its stable code and its sentence in French and in English.

A sentence says what is wrong and where, never what a document contains.
"""

from dataclasses import dataclass

SENTENCES: dict[str, tuple[str, str]] = {
    "checkpoint_missing": (
        "Le fichier {file} manque ou ne peut pas être lu : il n’y a pas de journal ici.",
        "File {file} is missing or cannot be read: there is no log here.",
    ),
    "vkey_missing": (
        "Aucune clé publique : donnez-la, ou placez-la dans le fichier {file}.",
        "No public key: give it, or put it in file {file}.",
    ),
    "vkey_malformed": (
        "La clé publique n’est pas de la forme <nom>+<8 chiffres hexadécimaux>+<base64> ou a été altérée.",
        "The public key is not of the form <name>+<8 hexadecimal digits>+<base64> or was altered.",
    ),
    "vkey_role": (
        "La clé d’un témoin a été donnée pour celle du journal, ou l’inverse.",
        "A witness’s key was given for the log’s, or the other way round.",
    ),
    "vkey_differs": (
        "Le fichier {file} ne contient pas la clé publique donnée.",
        "File {file} does not hold the public key that was given.",
    ),
    "vkey_not_independent": (
        "La clé publique vient du dossier vérifié : elle ne prouve pas qui l’a signé. Demandez-la à part et donnez-la.",
        "The public key comes from the directory being verified: it does not prove who signed. Obtain it apart and give it.",
    ),
    "never_seen": (
        "Aucun état antérieur n’est connu : une histoire réécrite puis signée par l’opérateur ne se verrait pas.",
        "No earlier state is known: a history rewritten and signed by the operator would not show.",
    ),
    "malformed": (
        "{file} n’a pas la forme d’un point de contrôle signé.",
        "{file} does not have the form of a signed checkpoint.",
    ),
    "signature": (
        "La signature de {file} est fausse : il a été altéré après sa signature.",
        "The signature of {file} is wrong: it was altered after it was signed.",
    ),
    "unsigned": (
        "{file} n’est pas signé par la clé publique de ce journal.",
        "{file} is not signed by this log’s public key.",
    ),
    "seen_unusable": (
        "Le dernier état connu n’est pas un point de contrôle signé par ce journal : vérifiez le fichier d’état.",
        "The last known state is not a checkpoint signed by this log: check the state file.",
    ),
    "rollback": (
        "Le journal a reculé : il avait {index} entrées la dernière fois, il en a moins.",
        "The log went backwards: it had {index} entries the last time, it has fewer.",
    ),
    "fork": (
        "Le journal a été réécrit : ses {index} premières entrées ne sont plus celles qui ont été vues. Gardez les deux états.",
        "The log was rewritten: its first {index} entries are not the ones seen before. Keep both states.",
    ),
    "quorum_missing": (
        "Les témoins de la politique n’ont pas assez cosigné : {index} l’ont fait.",
        "Not enough witnesses of the policy cosigned: {index} did.",
    ),
    "policy_malformed": (
        "La politique n’a pas la forme attendue (C2SP tlog-policy), ligne {index}.",
        "The policy does not have the expected form (C2SP tlog-policy), line {index}.",
    ),
    "policy_without_log": (
        "La politique ne nomme pas ce journal : donnez sa clé publique.",
        "The policy does not name this log: give its public key.",
    ),
    "not_in_log": (
        "L’événement montré n’est pas dans ce journal.",
        "The event shown is not in this log.",
    ),
    "disclosure_malformed": (
        "Ce n’est pas un événement montré avec son ouverture (« event », « opening »).",
        "This is not an event shown with its opening (“event”, “opening”).",
    ),
    "file_missing": (
        "Le fichier {file} manque ou ne peut pas être lu (à partir de l’entrée {index}).",
        "File {file} is missing or cannot be read (from entry {index}).",
    ),
    "file_malformed": (
        "Le fichier {file} est mal formé à l’octet {offset} (vers l’entrée {index}).",
        "File {file} is malformed at byte {offset} (near entry {index}).",
    ),
    "entry_differs": (
        "Le fichier {file} a été altéré : à l’octet {offset}, l’entrée {index} n’est pas celle qui a été signée.",
        "File {file} was altered: at byte {offset}, entry {index} is not the one that was signed.",
    ),
    "hash_differs": (
        "Le fichier {file} a été altéré : à l’octet {offset}, l’empreinte (à partir de l’entrée {index}) est fausse.",
        "File {file} was altered: at byte {offset}, the hash (from entry {index}) is wrong.",
    ),
    "root_differs": (
        "Les entrées ne redonnent pas la racine signée.",
        "The entries do not recompute the signed root.",
    ),
    "more_findings": (
        "D’autres anomalies ne sont pas énumérées.",
        "Further findings are not listed.",
    ),
    "outside_tree": (
        "{index} fichier(s) n’appartiennent pas à cet arbre et n’ont pas été vérifiés, dont {file}.",
        "{index} file(s) are not part of this tree and were not verified, among them {file}.",
    ),
    "receipt_malformed": (
        "Ce n’est pas un reçu bien formé (.tlog-proof).",
        "This is not a well-formed receipt (.tlog-proof).",
    ),
    "nothing_to_check": (
        "Le reçu ne porte ni événement ni entrée : donnez l’entrée à vérifier.",
        "The receipt carries neither an event nor an entry: give the entry to check.",
    ),
    "entry_not_this": (
        "Le reçu ne porte pas l’entrée donnée, ou son ouverture ne correspond pas à l’événement montré.",
        "The receipt does not carry the entry that was given, or its opening does not fit the event shown.",
    ),
    "inclusion": (
        "La preuve ne mène pas à la racine signée : l’événement montré n’est pas celui du journal, ou le reçu a été altéré.",
        "The proof does not lead to the signed root: the event shown is not the one in the log, or the receipt was altered.",
    ),
    "answer_malformed": (
        "Ligne {index} : ce n’est pas la réponse d’une passerelle, ou elle a été altérée.",
        "Line {index}: this is not a gateway’s answer, or it was altered.",
    ),
    "answer_empty": (
        "Le fichier ne contient aucune réponse.",
        "The file holds no answer.",
    ),
    "answer_incomplete": (
        "Ligne {index} : la preuve ne tient pas. Une ligne a été retirée, ajoutée, déplacée ou modifiée dans cette page.",
        "Line {index}: the proof does not hold. A row of this page was removed, added, moved or changed.",
    ),
    "answer_gap": (
        "Une page ne commence pas où finit la précédente : il en manque une.",
        "A page does not begin where the one before ended: one is missing.",
    ),
    "answer_truncated": (
        "La réponse s’arrête avant sa dernière page.",
        "The answer stops before its last page.",
    ),
    "answer_until": (
        "La réponse est complète jusqu’à l’entrée {index} du journal, non comprise.",
        "The answer is complete up to entry {index} of the log, excluded.",
    ),
    "answer_since": (
        "Les {index} premières entrées du journal, antérieures à l’index, ne sont pas couvertes.",
        "The first {index} entries of the log, older than the index, are not covered.",
    ),
    "answer_ahead": (
        "La réponse se fonde sur un journal de {index} entrées, celui qui est donné en a moins : récupérez-le de nouveau.",
        "The answer rests on a log of {index} entries, the one given has fewer: fetch it again.",
    ),
    "answer_fork": (
        "Les {index} premières entrées du journal ne sont pas celles dont la réponse se réclame : elle a été faite sur un autre "
        "journal que celui que chacun voit. Gardez les deux.",
        "The first {index} entries of the log are not those that the answer rests on: it was made from another log than everybody "
        "sees. Keep both.",
    ),
    "answer_stale": (
        "La réponse a été faite avec un index dépassé (entrée {index}) : le journal en avait un plus récent, elle peut omettre la suite.",
        "The answer was made with an outdated index (entry {index}): the log had a later one, so it may leave out what followed.",
    ),
    "log_incomplete": (
        "Le journal donné n’a pas de quoi vérifier la réponse à {index} entrées : vérifiez-le d’abord.",
        "The log given lacks what it takes to check the answer at {index} entries: verify it first.",
    ),
    "index_root": (
        "{file} : à l’entrée {index}, l’index ne continue pas le précédent : il recule, change de début ou d’empreinte, ou dépasse sa place.",
        "{file}: at entry {index}, the index does not continue the one before: it shrinks, begins elsewhere, changes its root or "
        "runs ahead of its place.",
    ),
    "row_not_this": (
        "Ligne {index} : l’événement montré n’est pas celui du journal, ou son résumé est faux.",
        "Line {index}: the event shown is not the one in the log, or its summary is wrong.",
    ),
    "row_not_asked": (
        "Ligne {index} : cet événement n’est pas de ceux qui ont été demandés, ou est compté à tort.",
        "Line {index}: this event is not one of those that were asked for, or is wrongly counted.",
    ),
    "row_of_another": (
        "Ligne {index} : cet événement ne concerne pas la personne de cette liste.",
        "Line {index}: this event is not about the person of this list.",
    ),
    "event_unreadable": (
        "L’événement montré n’est pas lisible sans ambiguïté.",
        "The event shown cannot be read without ambiguity.",
    ),
}


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing to know: its code, and where: file under the log, byte offset, entry index (or a count)."""

    code: str
    file: str | None = None
    offset: int | None = None
    index: int | None = None

    @property
    def message_fr(self) -> str:
        """The sentence in French."""
        return SENTENCES[self.code][0].format(file=self.file, offset=self.offset, index=self.index)

    @property
    def message_en(self) -> str:
        """The sentence in English."""
        return SENTENCES[self.code][1].format(file=self.file, offset=self.offset, index=self.index)
