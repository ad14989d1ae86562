"""
The catalogue of events: every type the ledger records, with its title and its sentence in French and English.

Published as it stands: partners and auditors read these words in receipts and reports.
"""

from dataclasses import dataclass

from consent.ledger.event_types import EventType


@dataclass(frozen=True, slots=True)
class Wording:
    """How an event type reads: a short title and one sentence, in French and in English."""

    title_fr: str
    title_en: str
    sentence_fr: str
    sentence_en: str


CATALOGUE: dict[EventType, Wording] = {
    EventType.CONVENTION_PROPOSED: Wording(
        "Convention proposée",
        "Convention proposed",
        "Un partenaire a déposé une version d’une convention ; elle n’autorise encore aucun échange.",
        "A partner filed a version of a convention; it does not allow any exchange yet.",
    ),
    EventType.CONVENTION_SIGNED: Wording(
        "Convention signée",
        "Convention signed",
        "Une partie a signé une version d’une convention ; elle n’a d’effet que signée par toutes les parties.",
        "A party signed a version of a convention; it has effect only once every party has signed.",
    ),
    EventType.CONVENTION_REJECTED: Wording(
        "Convention rejetée",
        "Convention rejected",
        "Une partie a refusé de signer une version d’une convention.",
        "A party declined to sign a version of a convention.",
    ),
    EventType.CONVENTION_SUSPENDED: Wording(
        "Convention suspendue",
        "Convention suspended",
        "Une partie a suspendu une convention ; rien ne part plus à ce titre jusqu’à sa reprise.",
        "A party suspended a convention; nothing leaves on its ground until it is resumed.",
    ),
    EventType.CONVENTION_RESUMED: Wording(
        "Convention reprise",
        "Convention resumed",
        "La suspension d’une convention a été levée.",
        "The suspension of a convention was lifted.",
    ),
    EventType.CONVENTION_REVOKED: Wording(
        "Convention dénoncée",
        "Convention revoked",
        "Une partie a mis fin à une convention ; rien ne part plus à ce titre.",
        "A party ended a convention; nothing leaves on its ground any more.",
    ),
    EventType.AGREEMENT_REQUESTED: Wording(
        "Accord demandé",
        "Agreement requested",
        "Une personne a été invitée à donner son accord par SMS ; rien n’est accordé tant qu’elle n’a pas répondu oui.",
        "A person was asked for an agreement by text message; nothing is agreed until the reply is yes.",
    ),
    EventType.AGREEMENT_GIVEN: Wording(
        "Accord donné",
        "Agreement given",
        "Une personne a donné son accord pour les finalités, les données et les destinataires indiqués.",
        "A person gave an agreement for the stated purposes, data and recipients.",
    ),
    EventType.AGREEMENT_REFUSED: Wording(
        "Accord refusé",
        "Agreement refused",
        "Une personne a refusé de donner son accord.",
        "A person declined to give an agreement.",
    ),
    EventType.AGREEMENT_WITHDRAWN: Wording(
        "Accord retiré",
        "Agreement withdrawn",
        "Une personne a retiré tout ou partie de son accord ; les destinataires en sont prévenus.",
        "A person withdrew an agreement in whole or in part; the recipients are told.",
    ),
    EventType.AGREEMENT_EXPIRED: Wording(
        "Accord arrivé à son terme",
        "Agreement expired",
        "La durée d’un accord est écoulée ; il n’autorise plus rien.",
        "The duration of an agreement ended; it allows nothing any more.",
    ),
    EventType.OBJECTION_RECORDED: Wording(
        "Opposition enregistrée",
        "Objection recorded",
        "Une personne s’est opposée à l’échange de ses données ; les échanges visés sont arrêtés.",
        "A person objected to the exchange of personal data; the exchanges concerned are stopped.",
    ),
    EventType.OBJECTION_LIFTED: Wording(
        "Opposition levée",
        "Objection lifted",
        "Une opposition a pris fin, à la demande de la personne ou à son terme.",
        "An objection ended, at the person’s request or at its term.",
    ),
    EventType.EXCHANGE_ACCEPTED: Wording(
        "Échange accepté",
        "Exchange accepted",
        "La passerelle a accepté de transmettre un document à un destinataire et a fixé les champs permis.",
        "The gateway accepted to pass a document to a recipient and fixed the permitted fields.",
    ),
    EventType.EXCHANGE_REFUSED: Wording(
        "Échange refusé",
        "Exchange refused",
        "La passerelle a refusé de transmettre un document à un destinataire, pour les motifs indiqués.",
        "The gateway refused to pass a document to a recipient, for the stated reasons.",
    ),
    EventType.DISCLOSURE_MADE: Wording(
        "Données communiquées",
        "Disclosure made",
        "Les champs indiqués ont été remis au destinataire ; l’événement est inscrit avant la remise.",
        "The stated fields were handed over to the recipient; the event is written before the hand-over.",
    ),
    EventType.DISCLOSURE_ACKNOWLEDGED: Wording(
        "Réception confirmée",
        "Disclosure acknowledged",
        "Le destinataire a confirmé avoir pris en charge ce qui lui a été remis.",
        "The recipient confirmed that it took charge of what it was handed.",
    ),
    EventType.DISCLOSURE_REJECTED: Wording(
        "Réception rejetée",
        "Disclosure rejected",
        "Le destinataire a répondu qu’il ne pouvait pas traiter ce qui lui a été remis.",
        "The recipient answered that it could not process what it was handed.",
    ),
    EventType.DISCLOSURE_STOPPED: Wording(
        "Remise arrêtée",
        "Disclosure stopped",
        "Un échange accepté n’a pas été remis : la situation avait changé depuis son acceptation.",
        "An accepted exchange was not handed over: the situation had changed since it was accepted.",
    ),
    EventType.DISCLOSURE_FAILED: Wording(
        "Remise sans réponse",
        "Disclosure unanswered",
        "Le système du destinataire n’a pas répondu, ou pas comme prévu ; il se peut qu’il ait reçu ce qui lui était remis.",
        "The recipient’s system did not answer, or not as expected; it may have received what it was handed.",
    ),
    EventType.DISCLOSURE_ABANDONED: Wording(
        "Remise abandonnée",
        "Disclosure abandoned",
        "Un échange accepté n’a pas pu être remis : il est mis de côté avec sa raison, et peut être rejoué.",
        "An accepted exchange could not be handed over: it is set aside with its reason, and can be replayed.",
    ),
    EventType.DISCLOSURE_REPLAYED: Wording(
        "Remise rejouée",
        "Disclosure replayed",
        "Une remise close a été demandée de nouveau : une autre part à sa place, après une nouvelle décision.",
        "A closed hand-over was asked for again: another one leaves in its place, after a new decision.",
    ),
    EventType.WITHDRAWAL_NOTIFIED: Wording(
        "Retrait notifié",
        "Withdrawal notified",
        "Un destinataire a été informé d’un retrait, d’une opposition ou d’un effacement (RGPD, article 19).",
        "A recipient was told of a withdrawal, an objection or an erasure (GDPR, article 19).",
    ),
    EventType.WITHDRAWAL_REMINDED: Wording(
        "Retrait rappelé",
        "Withdrawal reminded",
        "Un destinataire n’avait pas encore confirmé avoir tenu compte d’un retrait : la notification lui est présentée de nouveau.",
        "A recipient had not yet confirmed that it acted on a withdrawal: the notice is offered to it again.",
    ),
    EventType.WITHDRAWAL_OVERDUE: Wording(
        "Retrait non confirmé dans le délai",
        "Withdrawal not confirmed in time",
        "Le délai est passé sans qu’un destinataire confirme avoir tenu compte d’un retrait, d’une opposition ou d’un effacement.",
        "The time limit passed without a recipient confirming that it acted on a withdrawal, an objection or an erasure.",
    ),
    EventType.WITHDRAWAL_ACKNOWLEDGED: Wording(
        "Retrait confirmé",
        "Withdrawal acknowledged",
        "Un destinataire a confirmé avoir tenu compte d’un retrait, d’une opposition ou d’un effacement.",
        "A recipient confirmed that it acted on a withdrawal, an objection or an erasure.",
    ),
    EventType.CONTENT_READ: Wording(
        "Contenu consulté",
        "Content read",
        "Un agent ou un système a lu le contenu d’un document.",
        "An agent or a system read the content of a document.",
    ),
    EventType.LEDGER_SEARCHED: Wording(
        "Journal consulté",
        "Ledger searched",
        "Un auditeur a fait une recherche dans le journal.",
        "An auditor searched the ledger.",
    ),
    EventType.INDEX_EXTENDED: Wording(
        "Index étendu",
        "Index extended",
        "Les événements récents sont rangés dans les listes qui prouvent qu’une réponse est complète ; leur racine est dans le journal.",
        "Recent events were put in the lists that prove that an answer is complete; their root is in the log.",
    ),
    EventType.SIMULATION: Wording(
        "Simulation",
        "Simulation",
        "Une décision a été simulée ; rien n’a été transmis.",
        "A decision was simulated; nothing was passed on.",
    ),
    EventType.BREAK_GLASS: Wording(
        "Accès d’urgence",
        "Break-glass access",
        "Un accès exceptionnel a été ouvert, avec son motif ; il doit être revu.",
        "An exceptional access was opened, with its reason; it must be reviewed.",
    ),
    EventType.BREAK_GLASS_TOLD: Wording(
        "Accès d’urgence annoncé",
        "Break-glass announced",
        "Le délégué à la protection des données d’une partie a été prévenu d’un accès d’urgence, ou de son retard de revue.",
        "The data protection officer of a party was told of a break-glass access, or that its review is late.",
    ),
    EventType.BREAK_GLASS_ENDED: Wording(
        "Accès d’urgence terminé",
        "Break-glass ended",
        "Un accès d’urgence a pris fin : à son terme, refermé, ou parce que sa revue l’a dit injustifié.",
        "A break-glass access ended: at its term, closed, or because its review found it unjustified.",
    ),
    EventType.BREAK_GLASS_REVIEWED: Wording(
        "Accès d’urgence revu",
        "Break-glass reviewed",
        "Une autre partie a revu un accès d’urgence et l’a dit justifié ou injustifié.",
        "Another party reviewed a break-glass access and found it justified or not.",
    ),
    EventType.BREAK_GLASS_OVERDUE: Wording(
        "Revue d’un accès d’urgence en retard",
        "Break-glass review overdue",
        "Un accès d’urgence n’a pas été revu dans le délai ; son organisation ne peut plus en ouvrir d’autre.",
        "A break-glass access was not reviewed in time; its organisation can open no other.",
    ),
    EventType.FILE_QUARANTINED: Wording(
        "Fichier mis en quarantaine",
        "File quarantined",
        "Un fichier reçu a été refusé en entier et mis de côté pour examen.",
        "A received file was refused as a whole and set aside for examination.",
    ),
    EventType.ERASURE: Wording(
        "Effacement",
        "Erasure",
        "Les données d’une personne ont été rendues définitivement illisibles ; les preuves restent vérifiables.",
        "A person’s data were made unreadable for good; the proofs can still be verified.",
    ),
    EventType.RETENTION_PURGED: Wording(
        "Purge à l’échéance",
        "Retention purge",
        "Des données arrivées au terme de leur conservation ont été supprimées.",
        "Data that reached the end of their retention were deleted.",
    ),
    EventType.PROACTIVE_DATA_DESTROYED: Wording(
        "Données proactives détruites",
        "Proactive data destroyed",
        "Des données obtenues sans demande de la personne ont été détruites parce qu’elle s’y est opposée (CRPA, article L114-8).",
        "Data obtained without the person’s asking were destroyed because the person objected (CRPA, article L114-8).",
    ),
    EventType.KEY_ROTATED: Wording(
        "Clé remplacée",
        "Key rotated",
        "Une clé de la passerelle ou d’un partenaire a été remplacée.",
        "A key of the gateway or of a partner was replaced.",
    ),
    EventType.CONFIGURATION_CHANGED: Wording(
        "Configuration modifiée",
        "Configuration changed",
        "Un réglage, un partenaire ou un système raccordé a été ajouté, modifié ou retiré.",
        "A setting, a partner or a connected system was added, changed or removed.",
    ),
}
